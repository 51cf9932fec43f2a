//! ListTransactions: lists the transactions that this broker coordinates. Versions 0 to 2.
//!
//! - States that do not exist are told as such; if no other was asked for, nothing is listed.
//! - Version 1 lists only what has been open for longer than a time, version 2 only ids that match
//!   a regular expression as a whole.

use std::collections::HashSet;

use klamm_protocol::api::list_transactions::{Request, Response, Transaction};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;
use regex_lite::Regex;

use crate::regex;
use crate::server::{Call, Reply};
use crate::txn::machine::State;
use crate::txn::shard::command::{Command, Listed};

/// States that Kafka knows and no transactional id is ever listed in.
const NEVER_LISTED: [&str; 2] = ["Dead", "PrepareEpochFence"];

pub(crate) async fn handle(call: Call, request: Request) -> Reply<Response> {
    let choice = match Choice::new(&request, call.node.clock.now_ms()) {
        Ok(choice) => choice,
        Err(error_code) => return Reply::Now(Response { error_code, ..Response::default() }),
    };
    let asked = call.node.transactions.ask_all(Command::List).await;
    Reply::later(async move {
        let mut listed = Vec::new();
        for asked in asked {
            match asked.answer().await {
                Ok(some) => listed.extend(some),
                Err(error_code) => return Response { error_code, ..Response::default() },
            }
        }
        listed.retain(|listed| choice.includes(listed));
        Response {
            unknown_state_filters: choice.unknown_states,
            transaction_states: listed.into_iter().map(answer).collect(),
            ..Response::default()
        }
    })
}

/// What is to be listed.
struct Choice {
    /// None for any.
    states: Option<Vec<State>>,
    unknown_states: Vec<Str>,
    /// Empty for any.
    producer_ids: HashSet<i64>,
    /// What began before then, if that matters.
    started_before_ms: Option<i64>,
    pattern: Option<Regex>,
}

impl Choice {
    fn new(request: &Request, now_ms: i64) -> Result<Self, ErrorCode> {
        let is_known =
            |name: &Str| State::from_name(name).is_some() || NEVER_LISTED.contains(&name.as_str());
        let unknown = request.state_filters.iter().filter(|name| !is_known(name));
        let is_asked_for =
            |state: &State| request.state_filters.iter().any(|name| name.as_str() == state.name());
        let states = State::ALL.into_iter().filter(is_asked_for);
        let pattern = request.transactional_id_pattern.as_deref().filter(|it| !it.is_empty());
        let pattern = pattern.map(regex::whole);
        let duration_ms = Some(request.duration_filter).filter(|duration| *duration >= 0);
        Ok(Self {
            states: (!request.state_filters.is_empty()).then(|| states.collect()),
            unknown_states: unknown.cloned().collect(),
            producer_ids: request.producer_id_filters.iter().copied().collect(),
            started_before_ms: duration_ms.map(|duration| now_ms.saturating_sub(duration)),
            pattern: pattern.transpose().map_err(|_| ErrorCode::INVALID_REGULAR_EXPRESSION)?,
        })
    }

    fn includes(&self, listed: &Listed) -> bool {
        let Listed { transactional_id, producer_id, state, started_ms } = listed;
        let started_ms = started_ms.unwrap_or(-1);
        self.states.as_ref().is_none_or(|states| states.contains(state))
            && (self.producer_ids.is_empty() || self.producer_ids.contains(producer_id))
            && self.started_before_ms.is_none_or(|before| started_ms < before)
            && self.pattern.as_ref().is_none_or(|pattern| pattern.is_match(transactional_id))
    }
}

fn answer(listed: Listed) -> Transaction {
    Transaction {
        transactional_id: listed.transactional_id,
        producer_id: listed.producer_id,
        transaction_state: Str::from_static(listed.state.name()),
    }
}
