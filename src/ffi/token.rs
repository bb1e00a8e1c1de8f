//! Tokens in flight.

use super::guard::guard;
use super::status::mp_status;
use super::types::mp_token;
use crate::arena::{Arena, Token};
use crate::error::{Error, Result};

impl From<Token> for mp_token {
    fn from(token: Token) -> mp_token {
        mp_token { bytes: token.to_bytes() }
    }
}

/// The token that a caller points to; not yet checked.
///
/// # Safety
/// `token` is NULL or readable.
pub(super) unsafe fn read_token(token: *const mp_token) -> Result<Token> {
    if token.is_null() {
        return Err(Error::invalid("token is NULL"));
    }
    // SAFETY: not NULL, so readable; any bytes are a token.
    Ok(Token::from_bytes(unsafe { &(*token).bytes }))
}

/// Keeps the object of a token alive without any handle, until `mp_token_drop`: for a token in flight, which may be
/// the last trace of its object. May be called several times; each needs its drop. A keep belongs to nobody, and
/// outlives the process that made it.
///
/// *Returns* `MP_OK`; `MP_ERR_STALE` if the object has been destroyed; `MP_ERR_INVALID` if the token is NULL or not
/// one of this family of processes; `MP_ERR_NO_MEMORY`; `MP_ERR_STATE` as for `mp_lock_new`.
///
/// *Threads*: thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_token_keep(token: *const mp_token) -> mp_status {
    // SAFETY: `token` is NULL or readable, as the header asks.
    guard(|| unsafe { read_token(token) }.and_then(|token| Arena::of_token(&token)?.keep(&token)))
}

/// Ends one `mp_token_keep`, of this or any other process. If there is no handle and no other keep, the object goes.
///
/// *Returns* `MP_OK`; `MP_ERR_OVERFLOW` if the token is not kept; otherwise as `mp_token_keep`.
///
/// *Threads*: thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_token_drop(token: *const mp_token) -> mp_status {
    // SAFETY: `token` is NULL or readable, as the header asks.
    guard(|| unsafe { read_token(token) }.and_then(|token| Arena::of_token(&token)?.unkeep(&token)))
}
