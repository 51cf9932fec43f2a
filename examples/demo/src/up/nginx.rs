//! nginx, with `deploy/nginx.conf.template` filled in, and the pages, which it serves itself.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::process::Signal;

use super::process::{Ready, Spec};
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
    /// The buttons of the demo.
    pub(super) demo: SocketAddr,
}

/// nginx at `port` of this machine, with its files in `folder`.
pub(super) fn nginx(folder: &Path, port: u16, upstreams: &Upstreams) -> anyhow::Result<Spec> {
    let pages = unpack(folder)?;
    fs::write(folder.join("nginx.conf"), AROUND)?;
    fs::write(folder.join("server.conf"), server(port, &pages, upstreams))?;
    let mut spec = Spec::new("nginx", "proxy", NGINX.find()?)
        .arguments(["-p".into(), folder.as_os_str().to_owned()])
        .arguments(["-c", "nginx.conf", "-e", "stderr"])
        .at(SocketAddr::from(([127, 0, 0, 1], port)), Ready::Listens);
    spec.farewell = Signal::TERM;
    Ok(spec)
}

/// Lays the pages into `folder`, where they can be read by whom nginx works as, and says where.
fn unpack(folder: &Path) -> anyhow::Result<PathBuf> {
    let pages = folder.join("pages");
    // Those of an older build are in nobody's way.
    fs::create_dir_all(pages.join("assets"))?;
    for folder in [folder, &pages, &pages.join("assets")] {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
    }
    for (path, content) in web::files() {
        let file = pages.join(&*path);
        fs::write(&file, content)?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644))?;
    }
    Ok(pages)
}

fn server(port: u16, pages: &Path, upstreams: &Upstreams) -> String {
    let listen = format!("listen 127.0.0.1:{port}; listen [::1]:{port};");
    let Upstreams { chat, accounts, pods, unsent, demo } = upstreams;
    let mut text = SERVER
        .replace("${LISTEN}", &listen)
        .replace("${PAGES}", &format!("'{}'", pages.display()))
        .replace("${DEMO}", &format!("proxy_pass http://{demo};"));
    for (name, addresses) in [
        ("${CHAT_SERVERS}", chat),
        ("${ACCOUNTS_SERVERS}", accounts),
        ("${POD_SERVERS}", pods),
        ("${UNSENT_SERVERS}", unsent),
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

    fn upstreams() -> Upstreams {
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        Upstreams {
            chat: vec![at(3001), at(3002)],
            accounts: vec![at(1)],
            pods: vec![at(2)],
            unsent: vec![at(3)],
            demo: at(4),
        }
    }

    #[test]
    fn everything_is_filled_in() {
        let text = server(8080, Path::new("/pages"), &upstreams());
        let settings = text.lines().filter(|line| !line.trim_start().starts_with('#'));
        assert!(settings.clone().all(|line| !line.contains("${")), "{text}");
        let chat = "server 127.0.0.1:3001; server 127.0.0.1:3002; }";
        assert!(settings.clone().any(|line| line.ends_with(chat)), "{text}");
        assert!(text.contains("listen 127.0.0.1:8080; listen [::1]:8080;"), "{text}");
        assert!(text.contains("root '/pages';"), "{text}");
    }

    /// Else two who come one after the other are at the same instance, each the first of a worker.
    #[test]
    fn workers_share_what_they_count() {
        let upstreams: Vec<_> =
            SERVER.lines().filter(|line| line.starts_with("upstream ")).collect();
        assert_eq!(upstreams.len(), 4);
        for upstream in upstreams {
            assert!(upstream.contains("{ zone ") && upstream.contains(" 1m; least_conn; "));
        }
    }

    #[test]
    fn pages_may_do_the_same_behind_nginx_as_behind_the_door() {
        assert!(SERVER.contains(&format!("Content-Security-Policy \"{}\"", web::POLICY)));
    }

    #[test]
    fn the_pages_are_laid_out_for_nginx() {
        let folder = tempfile::tempdir().unwrap();
        let pages = unpack(folder.path()).unwrap();
        assert!(fs::read_to_string(pages.join("index.html")).unwrap().contains("/assets/"));
        assert_eq!(web::files().count(), 2 + fs::read_dir(pages.join("assets")).unwrap().count());
    }
}
