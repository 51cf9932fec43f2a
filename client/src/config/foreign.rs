//! The settings of other clients that are not settings here.

use klamm_utils::spelling;

use super::keys;

/// A setting that would change what a client does, in a way that this one does not have.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) name: &'static str,
    /// Values, besides none, with which nothing is asked for.
    harmless: &'static [&'static str],
    /// Why, and what to do.
    pub(super) reason: &'static str,
}

impl Refused {
    /// Whether the value asks for nothing.
    pub(super) fn is_harmless(&self, value: &str) -> bool {
        value.is_empty() || self.harmless.iter().any(|known| known.eq_ignore_ascii_case(value))
    }
}

const NO_TOKENS: &str = "tokens are not fetched from an identity provider: set a token provider, \
    `sasl.oauthbearer.token`, or a file by `sasl.oauthbearer.token.endpoint.url`";
const NOT_TEXT: &str = "its value is no text, but a part of a program";

/// What is refused, by name.
static REFUSED: &[Refused] = &[
    Refused {
        name: "bootstrap.controllers",
        harmless: &[],
        reason: "brokers are asked, and named by `bootstrap.servers`",
    },
    Refused {
        name: "config.providers",
        harmless: &[],
        reason: "values are taken as they are, and no provider is asked for them",
    },
    Refused { name: "default_topic_conf", harmless: &[], reason: NOT_TEXT },
    Refused {
        name: "enable.auto.offset.store",
        harmless: &["true"],
        reason: "what is committed is what was worked on; set `enable.auto.commit=false` to say it yourself",
    },
    Refused {
        name: "enable.gapless.guarantee",
        harmless: &["false"],
        reason: "a record that fails does not stop those behind it",
    },
    Refused { name: "enabled_events", harmless: &["0"], reason: NOT_TEXT },
    Refused { name: "interceptors", harmless: &[], reason: NOT_TEXT },
    Refused { name: "msg_order_cmp", harmless: &[], reason: NOT_TEXT },
    Refused {
        name: "offset.store.method",
        harmless: &["broker", "none"],
        reason: "offsets are kept by the group's coordinator",
    },
    Refused { name: "opaque", harmless: &[], reason: NOT_TEXT },
    Refused { name: "plugin.library.paths", harmless: &[], reason: "libraries are not loaded" },
    Refused { name: "sasl.oauthbearer.assertion.algorithm", harmless: &[], reason: NO_TOKENS },
    Refused { name: "sasl.oauthbearer.assertion.claim.aud", harmless: &[], reason: NO_TOKENS },
    Refused {
        name: "sasl.oauthbearer.assertion.claim.exp.seconds",
        harmless: &[],
        reason: NO_TOKENS,
    },
    Refused { name: "sasl.oauthbearer.assertion.claim.iss", harmless: &[], reason: NO_TOKENS },
    Refused {
        name: "sasl.oauthbearer.assertion.claim.jti.include",
        harmless: &[],
        reason: NO_TOKENS,
    },
    Refused {
        name: "sasl.oauthbearer.assertion.claim.nbf.seconds",
        harmless: &[],
        reason: NO_TOKENS,
    },
    Refused { name: "sasl.oauthbearer.assertion.claim.sub", harmless: &[], reason: NO_TOKENS },
    Refused { name: "sasl.oauthbearer.assertion.file", harmless: &[], reason: NO_TOKENS },
    Refused {
        name: "sasl.oauthbearer.assertion.jwt.template.file",
        harmless: &[],
        reason: NO_TOKENS,
    },
    Refused {
        name: "sasl.oauthbearer.assertion.private.key.file",
        harmless: &[],
        reason: NO_TOKENS,
    },
    Refused {
        name: "sasl.oauthbearer.assertion.private.key.passphrase",
        harmless: &[],
        reason: NO_TOKENS,
    },
    Refused {
        name: "sasl.oauthbearer.assertion.private.key.pem",
        harmless: &[],
        reason: NO_TOKENS,
    },
    Refused { name: "sasl.oauthbearer.assertion.template.file", harmless: &[], reason: NO_TOKENS },
    Refused {
        name: "sasl.oauthbearer.client.credentials.client.id",
        harmless: &[],
        reason: NO_TOKENS,
    },
    Refused {
        name: "sasl.oauthbearer.client.credentials.client.secret",
        harmless: &[],
        reason: NO_TOKENS,
    },
    Refused { name: "sasl.oauthbearer.client.id", harmless: &[], reason: NO_TOKENS },
    Refused { name: "sasl.oauthbearer.client.secret", harmless: &[], reason: NO_TOKENS },
    Refused {
        name: "sasl.oauthbearer.config",
        harmless: &[],
        reason: "unsecured tokens are described by `sasl.jaas.config`",
    },
    Refused {
        name: "sasl.oauthbearer.extensions",
        harmless: &[],
        reason: "extensions of SASL are not sent",
    },
    Refused {
        name: "sasl.oauthbearer.grant.type",
        harmless: &["client_credentials"],
        reason: NO_TOKENS,
    },
    Refused {
        name: "sasl.oauthbearer.metadata.authentication.type",
        harmless: &["none"],
        reason: NO_TOKENS,
    },
    Refused { name: "sasl.oauthbearer.method", harmless: &["default"], reason: NO_TOKENS },
    Refused { name: "sasl.oauthbearer.scope", harmless: &[], reason: NO_TOKENS },
    Refused { name: "ssl.crl.location", harmless: &[], reason: "revocation lists are not read" },
    Refused {
        name: "ssl.engine.id",
        harmless: &["dynamic"],
        reason: "engines of OpenSSL are not used",
    },
    Refused {
        name: "ssl.engine.location",
        harmless: &[],
        reason: "engines of OpenSSL are not used",
    },
    Refused { name: "ssl_ca", harmless: &[], reason: NOT_TEXT },
    Refused { name: "ssl_certificate", harmless: &[], reason: NOT_TEXT },
    Refused { name: "ssl_engine_callback_data", harmless: &[], reason: NOT_TEXT },
    Refused { name: "ssl_key", harmless: &[], reason: NOT_TEXT },
    Refused {
        name: "topic.blacklist",
        harmless: &[],
        reason: "topics are chosen by what is subscribed to",
    },
    Refused {
        name: "transaction.two.phase.commit.enable",
        harmless: &["false"],
        reason: "transactions end with their producer, not with an outer commit",
    },
];

/// How the names of librdkafka's callbacks end.
static CALLBACK: Refused = Refused { name: "*_cb", harmless: &[], reason: NOT_TEXT };

/// Names that other clients know and that change nothing here: they are accepted, and named once
/// in the log. So is every name that ends in `.class`.
static WITHOUT_EFFECT: &[&str] = &[
    "api.version.fallback.ms",
    "api.version.request",
    "api.version.request.timeout.ms",
    "auto.include.jmx.reporter",
    "batch.num.messages",
    "broker.address.family",
    "broker.address.ttl",
    "broker.version.fallback",
    "builtin.features",
    "client.dns.lookup",
    "consume.callback.max.messages",
    "coordinator.query.interval.ms",
    "debug",
    "delivery.report.only.error",
    "enable.metrics.push",
    "enable.partition.eof",
    "enable.random.seed",
    "enable.sasl.oauthbearer.unsecure.jwt",
    "exclude.internal.topics",
    "fetch.error.backoff.ms",
    "fetch.queue.backoff.ms",
    "group.protocol.type",
    "https.ca.location",
    "https.ca.pem",
    "interceptor.classes",
    "internal.termination.signal",
    "internal.throw.on.fetch.stable.offset.unsupported",
    "key.deserializer",
    "key.serializer",
    "log.connection.close",
    "log.queue",
    "log.thread.name",
    "log_level",
    "max.poll.records",
    "message.copy.max.bytes",
    "metadata.max.idle.ms",
    "metric.reporters",
    "metrics.num.samples",
    "metrics.recording.level",
    "metrics.sample.window.ms",
    "offset.store.path",
    "offset.store.sync.interval.ms",
    "partitioner.adaptive.partitioning.enable",
    "partitioner.availability.timeout.ms",
    "partitioner.class",
    "partitioner.ignore.keys",
    "produce.offset.report",
    "queue.buffering.backpressure.threshold",
    "queue.buffering.max.kbytes",
    "queue.buffering.max.messages",
    "queued.max.messages.kbytes",
    "queued.min.messages",
    "queuing.strategy",
    "receive.buffer.bytes",
    "reconnect.backoff.jitter.ms",
    "sasl.kerberos.keytab",
    "sasl.kerberos.kinit.cmd",
    "sasl.kerberos.min.time.before.relogin",
    "sasl.kerberos.principal",
    "sasl.kerberos.service.name",
    "sasl.kerberos.ticket.renew.jitter",
    "sasl.kerberos.ticket.renew.window.factor",
    "sasl.login.connect.timeout.ms",
    "sasl.login.read.timeout.ms",
    "sasl.login.refresh.buffer.seconds",
    "sasl.login.refresh.min.period.seconds",
    "sasl.login.refresh.window.factor",
    "sasl.login.refresh.window.jitter",
    "sasl.login.retry.backoff.max.ms",
    "sasl.login.retry.backoff.ms",
    "sasl.oauthbearer.clock.skew.seconds",
    "sasl.oauthbearer.expected.audience",
    "sasl.oauthbearer.expected.issuer",
    "sasl.oauthbearer.header.urlencode",
    "sasl.oauthbearer.jwks.endpoint.refresh.ms",
    "sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms",
    "sasl.oauthbearer.jwks.endpoint.retry.backoff.ms",
    "sasl.oauthbearer.jwks.endpoint.url",
    "sasl.oauthbearer.scope.claim.name",
    "sasl.oauthbearer.sub.claim.name",
    "security.providers",
    "send.buffer.bytes",
    "share.acknowledgement.mode",
    "share.acquire.mode",
    "socket.blocking.max.ms",
    "socket.keepalive.enable",
    "socket.max.fails",
    "socket.nagle.disable",
    "socket.receive.buffer.bytes",
    "socket.send.buffer.bytes",
    "ssl.ca.certificate.stores",
    "ssl.cipher.suites",
    "ssl.curves.list",
    "ssl.keymanager.algorithm",
    "ssl.keystore.password",
    "ssl.protocol",
    "ssl.provider",
    "ssl.providers",
    "ssl.secure.random.implementation",
    "ssl.sigalgs.list",
    "ssl.trustmanager.algorithm",
    "ssl.truststore.password",
    "statistics.interval.ms",
    "sticky.partitioning.linger.ms",
    "topic.metadata.propagation.max.ms",
    "topic.metadata.refresh.fast.cnt",
    "topic.metadata.refresh.fast.interval.ms",
    "topic.metadata.refresh.sparse",
    "value.deserializer",
    "value.serializer",
];

/// Whether a name changes nothing here.
pub(super) fn is_without_effect(name: &str) -> bool {
    WITHOUT_EFFECT.contains(&name) || name.ends_with(".class")
}

/// Why a name cannot be set, if it cannot.
pub(super) fn refused(name: &str) -> Option<&'static Refused> {
    let refused = REFUSED.iter().find(|refused| refused.name == name);
    refused.or_else(|| name.ends_with("_cb").then_some(&CALLBACK))
}

/// Whether a name means anything, if only that it cannot be set.
pub(super) fn is_known(name: &str) -> bool {
    keys::find(name).is_some() || is_without_effect(name) || refused(name).is_some()
}

/// The name that may be set and is most like `name`; of those that are equally like it, one of a
/// setting that has an effect.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    let rows = keys::ROWS.iter();
    let settings = rows.flat_map(|row| row.aliases.iter().copied().chain([row.name]));
    spelling::nearest(settings.chain(WITHOUT_EFFECT.iter().copied()), name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The settings of Kafka 4.3.1's producer (P), consumer (C) and admin client (A), as
    /// `name | clients | default`, printed from `ProducerConfig`, `ConsumerConfig` and
    /// `AdminClientConfig`; where the admin client's default is another, it is left out.
    const JAVA: &str = include_str!("java.txt");
    /// Those of librdkafka 2.12, as `name`, from its CONFIGURATION.md.
    const LIBRDKAFKA: &str = include_str!("librdkafka.txt");

    /// Where a default is not Java's, and why.
    const DIFFERENT: [(&str, &str); 5] = [
        ("batch.size", "four times as large: a third of the work per byte"),
        ("client.id", "a name that says what it is"),
        ("sasl.mechanism", "GSSAPI is not spoken"),
        ("ssl.keystore.type", "only PEM is read"),
        ("ssl.truststore.type", "only PEM is read"),
    ];

    #[test]
    fn every_setting_of_others_means_one_thing() {
        let java = JAVA.lines().filter_map(|line| line.split(" | ").next());
        let mut count = 0;
        for name in java.chain(LIBRDKAFKA.lines()) {
            let meanings =
                [keys::find(name).is_some(), is_without_effect(name), refused(name).is_some()];
            let meanings = meanings.into_iter().filter(|means| *means).count();
            assert_eq!(meanings, 1, "{name} means {meanings} things");
            count += 1;
        }
        assert!(count > 300);
    }

    #[test]
    fn defaults_are_those_of_java() {
        let mut differ = Vec::new();
        for line in JAVA.lines() {
            let [name, _, default] = line.split(" | ").collect::<Vec<_>>()[..] else {
                panic!("{line}")
            };
            let default = if default == "null" || default == "-" { "" } else { default };
            if let Some(row) = keys::find(name)
                && row.canonical(default) != row.canonical(row.default)
            {
                differ.push(name);
            }
        }
        assert_eq!(differ, DIFFERENT.map(|(name, _)| name));
        // And one that Java has by class, where others have a name.
        assert_eq!(keys::PARTITIONER.default, "fnv1a_random");
    }

    #[test]
    fn no_name_means_two_things() {
        let mut names: Vec<_> = WITHOUT_EFFECT.to_vec();
        names.extend(REFUSED.iter().map(|refused| refused.name));
        let rows = keys::ROWS.iter();
        names.extend(rows.flat_map(|row| row.aliases.iter().copied().chain([row.name])));
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn slips_of_the_pen_are_understood() {
        assert_eq!(nearest("linger.msec"), Some("linger.ms"));
        assert_eq!(nearest("bootstrap.server"), Some("bootstrap.servers"));
        assert_eq!(nearest("enable.idempotency"), Some("enable.idempotence"));
        assert_eq!(nearest("queue.buffering.max.msec"), Some("queue.buffering.max.ms"));
        assert_eq!(nearest("sasl.usernam"), Some("sasl.username"));
        assert_eq!(nearest("foo.bar"), None);
    }
}
