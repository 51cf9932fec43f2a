//! `klamm group describe --watch`.

use std::io::IsTerminal as _;
use std::time::Duration;

use klamm_client::Error as ClientError;
use klamm_client::admin::Admin;
use klamm_utils::clock::{Clock as _, SystemClock};
use serde::Serialize;
use tokio::time::MissedTickBehavior;

use super::describe::{Args, Described, OffsetRow, gather};
use crate::failure::Failure;
use crate::outcome::ErrorRow;
use crate::output::{Shape, Stdout, Time};

/// Moves to the top left corner, and clears what is behind it.
const REDRAW: &str = "\x1b[H\x1b[J";

/// A partition at a moment.
#[derive(Debug, Serialize)]
struct Seen<'a> {
    time: Time,
    #[serde(flatten)]
    offset: &'a OffsetRow,
}

/// A group that could not be looked at.
#[derive(Debug, Serialize)]
struct Unseen<'a> {
    time: Time,
    group: &'a str,
    error: ErrorRow,
}

/// Shows the groups again and again, until the user ends it or none of them is there.
pub(super) async fn run(admin: &Admin, args: &Args) -> anyhow::Result<()> {
    let is_drawn =
        std::io::stdout().is_terminal() && matches!(args.output.shape, Shape::Table | Shape::Wide);
    let clock = SystemClock::new();
    let mut stdout = Stdout::new();
    let mut looks = tokio::time::interval(Duration::from_secs(args.interval));
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        let (groups, failures) = gather(admin, &args.groups).await?;
        if groups.is_empty() {
            return Ok(Failure::unless_all(failures, args.groups.len())?);
        }
        let time = Time(clock.now_ms());
        if is_drawn {
            stdout.text(REDRAW);
            stdout.text(&format!("{time}, every {} s\n\n", args.interval));
            args.print(&mut stdout, &groups);
            failures.iter().for_each(|(_, error)| stdout.text(&format!("\n{error}\n")));
        } else {
            tell(&mut stdout, time, &groups, &failures)?;
        }
        stdout.finish()?;
    }
}

fn tell(
    stdout: &mut Stdout,
    time: Time,
    groups: &[Described],
    failures: &[(String, ClientError)],
) -> anyhow::Result<()> {
    for offset in groups.iter().flat_map(|group| &group.offsets) {
        stdout.json_line(&Seen { time, offset })?;
    }
    for (group, error) in failures {
        stdout.json_line(&Unseen { time, group, error: ErrorRow::new(error) })?;
    }
    Ok(())
}
