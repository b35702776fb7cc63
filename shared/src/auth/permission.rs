//! Permissions as types: what a route needs is in its handler's signature.

use super::{Access, RecordScope, Role, Scope, Surface, role::any_allows};

/// How a caller must have proved who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Any credentials: a session, or a key with the scope.
    Any,
    /// A session: what concerns the person who is signed in. A key is nobody.
    Session,
    /// The password within the last five minutes. A key has none; the scope that it was given stands for it.
    Fresh,
    /// A session, and the password within the last five minutes.
    FreshSession,
}

impl Proof {
    /// Whether only a person will do.
    #[must_use]
    pub const fn needs_session(self) -> bool {
        matches!(self, Self::Session | Self::FreshSession)
    }

    /// Whether a person must have given the password just now.
    #[must_use]
    pub const fn is_fresh(self) -> bool {
        matches!(self, Self::Fresh | Self::FreshSession)
    }
}

/// What a caller must be allowed to do.
pub trait Permission: Send + Sync + 'static {
    /// Least role of a user. A key acts as an administrator at most, whatever its scopes.
    const ROLE: Role;
    /// The scope that an API key needs.
    const SCOPE: Scope;
    /// How the caller must have proved who it is.
    const PROOF: Proof = Proof::Any;
    /// The least record scope of a user. What sums up or shows the whole business cannot be narrowed to some of its records.
    const RECORDS: RecordScope = RecordScope::Own;
    /// Whether what it shows is about people, so that addresses are hidden from those who see hints of them. One's own profile and the
    /// business's own settings are not.
    const SHOWS_PEOPLE: bool = !matches!(Self::SCOPE.surface, Surface::Admin);
    /// Whether it may change things although the tenant is suspended (deleting the account, say).
    const WHEN_SUSPENDED: bool = false;
}

macro_rules! permissions {
    ($($(#[$doc:meta])* $name:ident = $role:ident, $surface:ident, $access:ident $(, $proof:ident)? $(=> $records:ident)?;)*) => {$(
        $(#[$doc])*
        pub struct $name;

        impl Permission for $name {
            const ROLE: Role = Role::$role;
            const SCOPE: Scope = Scope { surface: Surface::$surface, access: Access::$access };
            $(const PROOF: Proof = Proof::$proof;)?
            $(const RECORDS: RecordScope = RecordScope::$records;)?
        }
    )*

        /// What each permission asks for.
        const ASKED: &[(Role, Scope, Proof)] = &[$(
            (<$name as Permission>::ROLE, <$name as Permission>::SCOPE, <$name as Permission>::PROOF)
        ),*];
    };
}

/// A scope that a key would need as well if it did all that a user of this role does; none when it may do all of it.
/// What only a person can do counts for nothing here.
#[must_use]
pub fn missing_scope(scopes: &[Scope], role: Role) -> Option<Scope> {
    ASKED
        .iter()
        .filter(|(least, _, proof)| role.allows(*least) && !proof.needs_session())
        .map(|(_, scope, _)| *scope)
        .find(|scope| !any_allows(scopes, *scope))
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
    /// Handing over everything that is known about a person.
    ExportPerson = Admin, Admin, Read, Fresh;
    /// Forgetting a person.
    ErasePerson = Admin, Admin, Write, Fresh;
    /// Following imports, exports and bulk changes.
    ReadJobs = Manager, Leads, Read;
    /// Taking leads out of the house.
    ExportLeads = Manager, Leads, Read, Fresh;
    /// Reading messages, conversations, templates.
    ReadMessages = Viewer, Messages, Read;
    /// Sending and replying.
    WriteMessages = Staff, Messages, Write;
    /// Templates for everyone.
    ManageMessages = Manager, Messages, Write;
    /// Looking at provider accounts.
    ReadConnections = Admin, Messages, Read;
    /// Changing provider accounts: whoever does reads what is sent through them.
    AdministerMessages = Admin, Messages, Write, Fresh;
    /// Asking a provider whether it knows an account.
    TestConnections = Admin, Messages, Write;
    /// Looking at what the sandbox would have sent, to whomever.
    ReadSandbox = Admin, Messages, Read => All;
    /// Reading what one was told inside the product.
    ReadNotifications = Viewer, Messages, Read, Session;
    /// Reading automations and runs.
    ReadAutomations = Viewer, Automations, Read;
    /// Starting automations by hand.
    WriteAutomations = Staff, Automations, Write;
    /// Making, publishing, pausing automations, and what else acts on everybody by itself. A step sees the lead that it is
    /// about whole, whoever published it, and may post it elsewhere.
    ManageAutomations = Manager, Automations, Write => All;
    /// Cancelling and repeating the run of a lead.
    ManageRuns = Manager, Automations, Write;
    /// Reading invoices and the catalogue.
    ReadFinance = Viewer, Finance, Read;
    /// Reading payments, sales and shifts.
    ReadTill = Staff, Finance, Read;
    /// Reading the reports and the ledger.
    ReadBooks = Manager, Finance, Read => All;
    /// Drafting invoices, taking payments, selling.
    WriteFinance = Staff, Finance, Write;
    /// Finalizing, voiding, allocating.
    ManageFinance = Manager, Finance, Write;
    /// Opening what is kept of an erased person because the law wants it.
    ReadSealedBuyer = Admin, Finance, Read, Fresh;
    /// Giving money back.
    RefundFinance = Manager, Finance, Write, Fresh;
    /// Reading health metrics.
    ReadWellness = Staff, Wellness, Read;
    /// Recording health metrics.
    WriteWellness = Staff, Wellness, Write;
    /// Correcting and importing health metrics.
    ManageWellness = Manager, Wellness, Write;
    /// Reading webhook sources, receipts, endpoints, events: what comes in and goes out, whoever it is about.
    ReadWebhooks = Admin, Webhooks, Read => All;
    /// Changing them.
    WriteWebhooks = Admin, Webhooks, Write => All;
    /// Reading analytics.
    ReadAnalytics = Viewer, Analytics, Read;
    /// Recording analytics events.
    WriteAnalytics = Viewer, Analytics, Write;
    /// Exporting analytics.
    ExportAnalytics = Manager, Analytics, Read, Fresh;
    /// One's own profile and session.
    ReadSelf = Viewer, Admin, Read, Session;
    /// Changing one's own profile and session.
    WriteSelf = Viewer, Admin, Write, Session;
    /// Changing how one signs in.
    SecureSelf = Viewer, Admin, Write, FreshSession;
    /// Reading the business's settings.
    ReadTenant = Viewer, Admin, Read;
    /// Reading users, keys, audit.
    ReadAdmin = Admin, Admin, Read;
    /// Changing them.
    WriteAdmin = Admin, Admin, Write;
    /// Changing how a colleague signs in.
    SecureUsers = Admin, Admin, Write, FreshSession;
    /// Adding, changing and removing colleagues: whoever holds another's session must not make a person of it.
    ManageUsers = Admin, Admin, Write, Fresh;
    /// Making keys. A key makes none: it would outlive its own end.
    MakeKeys = Admin, Admin, Write, FreshSession;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scopes(words: &str) -> Vec<Scope> {
        words.split_whitespace().map(|word| word.parse().unwrap()).collect()
    }

    #[test]
    fn a_key_comes_up_to_a_role_when_it_opens_all_that_the_role_opens() {
        let reads =
            scopes("leads:read messages:read automations:read finance:read analytics:write admin:read");
        assert_eq!(missing_scope(&reads, Role::Viewer), None);
        assert!(missing_scope(&reads, Role::Staff).is_some());
        let all: Vec<Scope> =
            Surface::ALL.iter().map(|surface| Scope { surface: *surface, access: Access::Write }).collect();
        assert_eq!(missing_scope(&all, Role::Admin), None);
        for without in &all {
            let rest: Vec<Scope> = all.iter().copied().filter(|scope| scope != without).collect();
            assert_eq!(missing_scope(&rest, Role::Admin).map(|scope| scope.surface), Some(without.surface));
        }
        assert!(missing_scope(&scopes("admin:write"), Role::Viewer).is_some());
    }
}
