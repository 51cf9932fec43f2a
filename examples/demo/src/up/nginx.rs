//! nginx, with `deploy/nginx.conf.template` filled in.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use rustix::process::Signal;

use super::process::Spec;
use super::programs::NGINX;

/// Shared with the containers of docker-compose.yml.
const SERVER: &str = include_str!("../../../../deploy/nginx.conf.template");

/// What containers have in an `nginx.conf` of their image.
const AROUND: &str = "\
daemon off;
worker_processes auto;
worker_rlimit_nofile 16384;
error_log stderr;
pid nginx.pid;
events { worker_connections 8192; }
http {
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    include server.conf;
}
";

/// The instances behind nginx, by the name of their upstream.
#[derive(Clone, Debug)]
pub(super) struct Upstreams {
    pub(super) chat: Vec<SocketAddr>,
    pub(super) accounts: Vec<SocketAddr>,
    pub(super) pods: Vec<SocketAddr>,
    pub(super) unsent: Vec<SocketAddr>,
    pub(super) pages: Vec<SocketAddr>,
}

/// nginx at `port` of this machine, with its files in `folder`.
pub(super) fn nginx(folder: &Path, port: u16, upstreams: &Upstreams) -> anyhow::Result<Spec> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join("nginx.conf"), AROUND)?;
    fs::write(folder.join("server.conf"), server(port, upstreams))?;
    let mut spec = Spec::new("nginx", "proxy", NGINX.find()?)
        .arguments(["-p".into(), folder.as_os_str().to_owned()])
        .arguments(["-c", "nginx.conf", "-e", "stderr"])
        .at(SocketAddr::from(([127, 0, 0, 1], port)));
    spec.farewell = Signal::TERM;
    Ok(spec)
}

fn server(port: u16, upstreams: &Upstreams) -> String {
    let listen = format!("listen 127.0.0.1:{port}; listen [::1]:{port};");
    let Upstreams { chat, accounts, pods, unsent, pages } = upstreams;
    let mut text = SERVER.replace("${LISTEN}", &listen);
    for (name, addresses) in [
        ("${CHAT_SERVERS}", chat),
        ("${ACCOUNTS_SERVERS}", accounts),
        ("${POD_SERVERS}", pods),
        ("${UNSENT_SERVERS}", unsent),
        ("${PAGES_SERVERS}", pages),
    ] {
        let servers = addresses.iter().fold(String::new(), |mut text, address| {
            let _cannot_fail = write!(text, "server {address}; ");
            text
        });
        text = text.replace(name, servers.trim_end());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_filled_in() {
        let at = |port| vec![SocketAddr::from(([127, 0, 0, 1], port))];
        let chat = [at(3001), at(3002)].concat();
        let upstreams =
            Upstreams { chat, accounts: at(1), pods: at(2), unsent: at(3), pages: at(4) };
        let text = server(8080, &upstreams);
        let settings = text.lines().filter(|line| !line.trim_start().starts_with('#'));
        assert!(settings.clone().all(|line| !line.contains("${")), "{text}");
        let chat =
            "upstream chat     { least_conn; server 127.0.0.1:3001; server 127.0.0.1:3002; }";
        assert!(settings.clone().any(|line| line == chat), "{text}");
        assert!(text.contains("listen 127.0.0.1:8080; listen [::1]:8080;"), "{text}");
    }
}
