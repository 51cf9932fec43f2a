//! Metrics of clients (KIP-714): asked for and pushed. They are told at `/metrics`.

pub(crate) mod push;
pub(crate) mod subscribe;

use klamm_protocol::wire::Uuid;

use crate::server::Call;
use crate::telemetry::Facts;

fn facts(call: &Call, instance_id: Uuid) -> Facts {
    let software = call.peer.software();
    Facts {
        client_id: call.client_id.clone(),
        instance_id,
        software_name: software.name.clone(),
        software_version: software.version.clone(),
        address: call.peer.address,
    }
}
