//! Permissions as types: what a route needs is in its handler's signature.

use super::{Access, Role, Scope, Surface};

/// What a caller must be allowed to do.
pub trait Permission: Send + Sync + 'static {
    /// Least role of a user.
    const ROLE: Role;
    /// The scope that an API key needs.
    const SCOPE: Scope;
    /// Whether it may change things although the tenant is suspended (deleting the account, say).
    const WHEN_SUSPENDED: bool = false;
}

macro_rules! permissions {
    ($($(#[$doc:meta])* $name:ident = $role:ident, $surface:ident, $access:ident;)*) => {$(
        $(#[$doc])*
        pub struct $name;

        impl Permission for $name {
            const ROLE: Role = Role::$role;
            const SCOPE: Scope = Scope { surface: Surface::$surface, access: Access::$access };
        }
    )*};
}

permissions! {
    /// Reading leads, activities, timelines.
    ReadLeads = Viewer, Leads, Read;
    /// Reading what a lead is recognised by and has consented to.
    ReadLeadLedgers = Staff, Leads, Read;
    /// Everyday work on leads.
    WriteLeads = Staff, Leads, Write;
    /// Deleting, merging, importing leads.
    ManageLeads = Manager, Leads, Write;
    /// Reading messages, conversations, templates.
    ReadMessages = Viewer, Messages, Read;
    /// Sending and replying.
    WriteMessages = Staff, Messages, Write;
    /// Templates for everyone.
    ManageMessages = Manager, Messages, Write;
    /// Provider accounts.
    AdministerMessages = Admin, Messages, Write;
    /// Reading automations and runs.
    ReadAutomations = Viewer, Automations, Read;
    /// Starting automations by hand.
    WriteAutomations = Staff, Automations, Write;
    /// Making, publishing, pausing automations.
    ManageAutomations = Manager, Automations, Write;
    /// Reading invoices, payments, shifts.
    ReadFinance = Viewer, Finance, Read;
    /// Drafting invoices, taking payments, selling.
    WriteFinance = Staff, Finance, Write;
    /// Finalizing, refunding, voiding; reports.
    ManageFinance = Manager, Finance, Write;
    /// Reading health metrics.
    ReadWellness = Staff, Wellness, Read;
    /// Recording health metrics.
    WriteWellness = Staff, Wellness, Write;
    /// Correcting and importing health metrics.
    ManageWellness = Manager, Wellness, Write;
    /// Reading webhook sources, receipts, endpoints, events.
    ReadWebhooks = Admin, Webhooks, Read;
    /// Changing them.
    WriteWebhooks = Admin, Webhooks, Write;
    /// Reading analytics.
    ReadAnalytics = Viewer, Analytics, Read;
    /// Recording analytics events.
    WriteAnalytics = Viewer, Analytics, Write;
    /// Exporting analytics.
    ManageAnalytics = Manager, Analytics, Read;
    /// One's own profile and session.
    ReadSelf = Viewer, Admin, Read;
    /// Changing one's own profile and session.
    WriteSelf = Viewer, Admin, Write;
    /// Reading users, keys, audit, settings.
    ReadAdmin = Admin, Admin, Read;
    /// Changing them.
    WriteAdmin = Admin, Admin, Write;
    /// What only an owner may do.
    OwnTenant = Owner, Admin, Write;
}
