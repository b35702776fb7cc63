//! Who may come in: tenants, their users, sessions and API keys, and what is counted before anybody is known.
//!
//! Passwords are verified between two transactions, never inside one: a hash takes as long as dozens of statements, and
//! a connection that waits for it serves nobody. The session is then made only if the user still has the very hash
//! that was verified.

mod api_keys;
mod caller;
mod credentials;
mod device;
mod disabled;
mod erase;
mod guesses;
mod invites;
mod login;
mod me;
mod mfa;
mod one_time;
mod passwords;
mod refresh;
mod register;
mod sessions;
mod settings;
mod signed_in;
mod standing;
mod tenants;
mod throttle;
mod users;

pub use api_keys::{
    ApiKey, IssuedKey, KeyFilter, KeyKind, NewKey, insert_key, list_keys, revoke_key, revoke_keys_of,
};
pub(crate) use caller::{hold_key, hold_user};
pub use credentials::{
    Credentials, Forgotten, ProvedEmail, change_password, find_credentials, find_forgotten, prove_email,
    refresh_proof, reset_password,
};
pub use device::Device;
pub(crate) use device::network;
pub use disabled::{disabled_user, find_disabled, refuse_disabled};
pub use erase::{
    ErasedRows, ErasedTable, TableCount, claim_ended, count_rows, end_tenant, erase_rows, erase_tenant,
    erased_rows, erasure_order, fits_a_request, release_ended,
};
pub use guesses::{Admission, Guard, Pass, admit, forgive, give_back, knows_network};
pub(crate) use guesses::{Counted, NETWORK_LIMIT, PAIR_LIMIT, RATION, Target, WINDOW};
pub use invites::{accept_invite, renew_invite};
pub use login::{Candidate, NewSession, Proof, find_candidates, sign_in};
pub use me::{SelfPatch, update_self};
pub use mfa::{
    Confirmation, begin_mfa, confirm_mfa, enter_by_challenge, open_challenge, remove_mfa,
    renew_recovery_codes, spend_code,
};
pub use one_time::{Issued, issue_proof, issue_token};
pub use passwords::{
    FAILURE_FLOOR, Hold, MOST_WORK, check_password, hash_password, refuse_weak, refuse_weak_at,
};
pub use refresh::{Rotation, rotate};
pub use register::{Registered, Registration, register};
pub use sessions::{
    Session, SessionFilter, find_session_account, list_sessions, revoke_all_sessions, revoke_family,
    revoke_session,
};
pub use settings::{Limits, Preferences, QuietHours, Rounding, TimeOfDay};
pub use signed_in::{Account, SignIn, jwks};
pub use standing::{
    Standing, StandingError, StandingOrder, StandingReport, carry_out_standing_order, end_trial,
    read_standing_order,
};
pub use tenants::{Tenant, TenantPatch, find_tenant, update_tenant};
pub use throttle::{Knock, count_call, network_key};
pub use users::{
    EMAIL_TAKEN, NewUser, PASSWORD_MISSING, User, UserFilter, UserPatch, UserStatus, delete_user, find_user,
    insert_user, list_users, lock_user_and_owners, update_user,
};
