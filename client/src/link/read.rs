//! What is heard on a link.

use klamm_protocol::inbox::Inbox;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::shared::{Reason, Shared};
use crate::idle::{self, Idle};

const SPEAKS_TLS: &str = "the broker speaks TLS on this port; set `security.protocol` to SSL or \
                          SASL_SSL, or use the port where it does not";

/// Reads answers until the stream ends, an answer is overdue or nobody wants any, and tells why.
pub(super) async fn read(shared: &Shared, mut input: impl AsyncRead + Unpin) -> Reason {
    let mut inbox = Inbox::new(shared.limits.answer_bytes_max);
    let mut idle = Idle::new(shared.limits.idle_max);
    let mut look = idle::looks_within(shared.limits.timeout);
    let mut answers = 0u64;
    loop {
        if answers == 0 && !shared.secret && is_tls(inbox.unread()) {
            return SPEAKS_TLS.into();
        }
        match inbox.next_frame() {
            Ok(Some(frame)) => {
                answers += 1;
                if let Err(reason) = shared.deliver(frame) {
                    return reason;
                }
            }
            Ok(None) => {
                inbox.make_room();
                tokio::select! {
                    biased;
                    read = input.read_buf(inbox.buffer()) => match read {
                        Ok(0) => return closed(shared, answers),
                        Ok(_) => {}
                        // What is refused by TLS 1.3 is refused where the first answer would be.
                        Err(error) if answers == 0 => return Reason::of_first(&error),
                        Err(error) => return Reason::of_io(&error),
                    },
                    _ = look.tick() => {
                        if let Some(reason) = shared.overdue(look.period()) {
                            return reason;
                        }
                        if !shared.is_awaited() {
                            inbox.rest();
                        }
                    }
                    asked = idle.passed(|| shared.asked()) => {
                        if let Some(reason) = shared.fail_if_idle(asked) {
                            return reason;
                        }
                    }
                }
            }
            Err(error) => return error.to_string().into(),
        }
    }
}

/// Why the broker may have closed it after so many answers.
fn closed(shared: &Shared, answers: u64) -> Reason {
    let may_want = match answers {
        0 if !shared.secret && shared.is_awaited() => {
            ", without an answer; if it speaks TLS on this port, set `security.protocol` to SSL \
             or SASL_SSL"
        }
        1 if shared.is_awaited() => {
            ", after it told its versions; if it wants SASL on this port, set \
             `security.protocol` to SASL_SSL or SASL_PLAINTEXT"
        }
        _ => "",
    };
    format!("the broker closed it{may_want}").into()
}

/// Whether what was read first is an alert or a handshake of TLS: no frame is that large.
fn is_tls(read: &[u8]) -> bool {
    matches!(read, [0x15 | 0x16, 0x03, ..])
}
