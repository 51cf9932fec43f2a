//! Situations of a group, as transcripts.
