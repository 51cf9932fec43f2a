//! How much load is put on rooms, as the command line says.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::bail;
use clap::Args;

use super::plan::Plan;
use crate::world::World;

/// How many have an account where nothing else is said: enough to go every way there is.
pub(super) const ACCOUNTS: usize = 10;

/// How much is said, and by how many.
#[derive(Clone, Debug, Args)]
pub(crate) struct Load {
    /// Messages a second, of all together.
    #[arg(long)]
    rate: Option<f64>,
    /// Rooms.
    #[arg(long)]
    rooms: Option<usize>,
    /// Sockets, spread over rooms and instances.
    #[arg(long)]
    sockets: Option<usize>,
    /// For how long is sent.
    #[arg(long)]
    seconds: Option<u64>,
    /// Goes through the proxy as browsers do, not to the instances themselves.
    #[arg(long)]
    pub(super) through_door: bool,
    /// So many of those at the sockets have signed up: their tickets, and the history when they
    /// are told to load it, come over HTTP as those of pages do. The tickets of the others are
    /// signed here.
    #[arg(long, default_value_t = ACCOUNTS)]
    accounts: usize,
}

/// Those who take part.
#[derive(Clone, Copy, Debug)]
pub(super) struct Crowd {
    pub(super) sockets: usize,
    /// How many of them have an account: the last ones.
    pub(super) accounts: usize,
}

/// What a command takes where nothing else is said.
#[derive(Clone, Copy, Debug)]
pub(super) struct Default {
    pub(super) rate: f64,
    pub(super) rooms: usize,
    pub(super) sockets: usize,
    pub(super) seconds: u64,
}

impl Load {
    /// Where sockets connect to.
    pub(super) fn places(&self, world: &World) -> anyhow::Result<Vec<SocketAddr>> {
        if self.through_door { Ok(vec![world.door()?]) } else { world.places("chat") }
    }

    pub(super) fn plan(&self, default: Default) -> anyhow::Result<(Plan, Crowd)> {
        let sockets = self.sockets.unwrap_or(default.sockets);
        let rooms = self.rooms.unwrap_or(default.rooms);
        let rate = self.rate.unwrap_or(default.rate);
        if rooms == 0 || sockets < rooms || rate <= 0.0 {
            bail!("every room needs a socket, and the rate is above 0");
        }
        let seconds = self.seconds.unwrap_or(default.seconds);
        let run = format!("{:x}", uuid::Uuid::now_v7().as_u128() >> 48);
        let time = Duration::from_secs(seconds);
        let crowd = Crowd { sockets, accounts: self.accounts };
        Ok((Plan { run, rooms, senders: sockets, rate, time }, crowd))
    }
}
