//! A client as Kafka's behave.

use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::records::Outcome;

use super::super::super::*;

/// What a client asks.
#[derive(Clone, Debug)]
pub(super) enum Request {
    Init(Option<Producer>),
    Add(Producer, i32),
    End(Producer, Outcome),
}

/// One client.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) generation: Generation,
    /// Counts its lives.
    pub(super) life: u32,
    producer: Option<Producer>,
    /// Partitions that its open transaction has.
    partitions: Vec<i32>,
    /// What it has asked and will ask again if there is no answer.
    asked: Option<Request>,
}

/// What a client does next.
pub(super) enum Deed {
    Ask(Request),
    /// It writes to a partition of its transaction.
    Write(Producer, i32),
}

impl Client {
    pub(super) fn new(generation: Generation) -> Self {
        Self { generation, life: 0, producer: None, partitions: Vec::new(), asked: None }
    }

    /// It has forgotten everything.
    pub(super) fn start_anew(&mut self) {
        *self = Self { life: self.life + 1, ..Self::new(self.generation) };
    }

    /// What it does next; the number chooses.
    pub(super) fn next(&mut self, choice: u8) -> Deed {
        if let Some(asked) = &self.asked {
            return Deed::Ask(asked.clone());
        }
        let partition = i32::from(choice % 4);
        let request = match (self.producer, self.partitions.is_empty()) {
            (None, _) => Request::Init(None),
            (Some(producer), true) if choice >= 240 => Request::Init(Some(producer)),
            (Some(producer), true) => Request::Add(producer, partition),
            (Some(producer), false) => match choice / 4 % 4 {
                0 => Request::Add(producer, partition),
                1 => {
                    let at = usize::from(choice) % self.partitions.len();
                    return Deed::Write(producer, self.partitions[at]);
                }
                2 => Request::End(producer, Outcome::Commit),
                _ => Request::End(producer, Outcome::Abort),
            },
        };
        self.asked = Some(request.clone());
        Deed::Ask(request)
    }

    /// What it waits for an answer to.
    pub(super) fn asked(&self) -> Option<Request> {
        self.asked.clone()
    }

    /// It is told what became of its request.
    pub(super) fn hear(&mut self, answer: Result<Option<Producer>, ErrorCode>) {
        let answer = match answer {
            // It asks again.
            Err(ErrorCode::CONCURRENT_TRANSACTIONS) => return,
            Err(_) => return self.start_anew(),
            Ok(answer) => answer,
        };
        match self.asked.take() {
            Some(Request::Init(_)) => self.producer = answer,
            Some(Request::Add(_, partition)) => self.partitions.push(partition),
            Some(Request::End(..)) => {
                self.partitions.clear();
                if self.generation == Generation::Second {
                    self.producer = answer;
                }
            }
            None => panic!("nobody has asked"),
        }
    }
}
