//! Which button, on which surface, brought whom.
//!
//! A CTA event is counted exactly once by the id that the client gave it: the insert into `cta_event_ids` decides, in the
//! statement that writes the event. No address and no cookie is kept; a visitor without an id of its own is a hash that
//! changes with the day's salt. Crawlers are kept and marked, and left out of statistics.
//!
//! Of a person who is known, a click, a submission or a view that came by a campaign is a visit: it is the lead's `lastTouch`, and
//! the `firstTouch` of one who has none. That alone tells nothing besides `cta.recorded`.
//!
//! `cta.recorded` is told for events whose person is known – the client named the lead, or the visitor id is one of its
//! identities – and never for crawlers. Automations act on a person: an anonymous click would start a run that can do
//! nothing, and a page view of everybody would flood the journal. Anonymous events are all in the list and the export.

mod agent;
mod event;
mod export;
mod filter;
mod funnel;
mod list;
mod overview;
mod record;
mod summary;

pub use agent::{Agent, read_agent};
pub use event::{CtaBody, CtaEvent, CtaKind, NewCta};
pub use export::read_chunk;
pub use filter::CtaFilter;
pub use funnel::{Funnel, FunnelStep, read_funnel, read_journey};
pub use list::list_events;
pub use overview::{CtaCounts, LeadCounts, MessageCounts, MoneyTaken, Overview, RunCounts, read_overview};
pub use record::{Recorded, record};
pub use summary::{CtaSummary, CtaSummaryItem, GroupBy, read_summary};
