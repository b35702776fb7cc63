//! A marked effect and what is to be done about it.

use uuid::Uuid;

use crate::{
    ids::TenantId,
    messages::Purpose,
    providers::{Account, Outgoing},
};

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Hand it to the provider.
    Send,
    /// Ask the provider whether it was sent.
    Search,
}

/// A marked effect. Whoever holds it may call the provider until the lease ends.
#[derive(Clone, Debug)]
pub struct Job {
    /// Whose it is.
    pub tenant: TenantId,
    /// What is to be done.
    pub work: Work,
    /// The account to do it with.
    pub account: Account,
    /// The message as the provider gets it.
    pub outgoing: Outgoing,
    /// Why it is sent.
    pub purpose: Purpose,
    pub(super) epoch: i64,
    pub(super) attempt: i32,
    pub(super) message_id: Uuid,
    pub(super) connection_id: Option<Uuid>,
    pub(super) run: Option<(Uuid, i32)>,
}
