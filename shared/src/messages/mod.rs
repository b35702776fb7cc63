//! Conversations and messages: planned, judged, sent, answered.
