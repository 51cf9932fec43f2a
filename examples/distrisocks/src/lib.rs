//! Direct messages, from pod to pod.
#![forbid(unsafe_code)]
