//! Who plays: the services of the demo, and the settings of each.
//!
//! The same list is run in one process and in several.

use std::net::SocketAddr;

/// A service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// An instance of the chat.
    Chat,
    /// Writes the chat's messages into the database.
    Persister,
    /// Answers what is said to SuperChat.
    Llm,
    /// The accounts of those who write direct messages.
    Accounts,
    /// A pod of direct messages.
    Pod,
    /// Takes unsent messages, and tells of them.
    UnsentProducer,
    /// Computes who has written to whom.
    UnsentConsumer,
}

/// A service with its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its name, such as `Asia`.
    pub name: &'static str,
    /// What it does.
    pub role: Role,
}

const fn part(name: &'static str, role: Role) -> Part {
    Part { name, role }
}

/// All of them. They may be started in any order.
pub const CAST: [Part; 11] = [
    part("Asia", Role::Chat),
    part("Middle-east", Role::Chat),
    part("Europe", Role::Chat),
    part("kafka-consumer", Role::Persister),
    part("llm-worker", Role::Llm),
    part("auth-svc", Role::Accounts),
    part("pod-1", Role::Pod),
    part("pod-2", Role::Pod),
    part("pod-3", Role::Pod),
    part("unsent-producer", Role::UnsentProducer),
    part("unsent-consumer", Role::UnsentConsumer),
];

impl Role {
    /// What it is called where instances are listed.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Persister => "persister",
            Self::Llm => "llm",
            Self::Accounts => "accounts",
            Self::Pod => "pod",
            Self::UnsentProducer => "unsent-producer",
            Self::UnsentConsumer => "unsent-consumer",
        }
    }

    /// Its program.
    #[must_use]
    pub fn program(self) -> &'static str {
        match self {
            Self::Chat => "chat-server",
            Self::Persister => "kafka-consumer",
            Self::Llm => "llm-worker",
            Self::Accounts => "auth-svc",
            Self::Pod => "websock-svc",
            Self::UnsentProducer => "unsent-producer",
            Self::UnsentConsumer => "unsent-consumer",
        }
    }
}

impl Part {
    /// Its own settings; what all have in common comes beside them.
    #[must_use]
    pub fn settings(self, listen: SocketAddr) -> Vec<(String, String)> {
        let name = if self.role == Role::Pod { "POD_ID" } else { "SERVER_NAME" };
        let settings = [
            (name, self.name.to_owned()),
            ("LISTEN", listen.to_string()),
            // The chat's names for it are the original's.
            ("SERVER_HOST", listen.ip().to_string()),
            ("SERVER_PORT", listen.port().to_string()),
        ];
        settings.map(|(name, value)| (name.to_owned(), value)).to_vec()
    }
}

/// The addresses of those who have `role`.
pub fn of_role(cast: &[(Part, SocketAddr)], role: Role) -> Vec<SocketAddr> {
    cast.iter().filter(|(part, _)| part.role == role).map(|(_, address)| *address).collect()
}
