//! Devices, their keys, and who may come in.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value, json};

use super::ids::{AuthSetId, DeviceId, Random};
use super::keys::PublicKey;
use super::time::Time;

/// Whether a device (or one of its keys) may come in. The order is the one in which the management API lists devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Acceptance {
    /// It may.
    Accepted,
    /// An operator has said yes to a key before it asked; it is accepted when it does.
    Preauthorized,
    /// It waits for an operator.
    Pending,
    /// An operator said no.
    Rejected,
    /// No key is stored for the device.
    NoAuth,
}

impl Acceptance {
    /// The word of the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Preauthorized => "preauthorized",
            Self::Pending => "pending",
            Self::Rejected => "rejected",
            Self::NoAuth => "noauth",
        }
    }

    /// The meaning of a word of the API.
    pub fn from_word(word: &str) -> Option<Self> {
        [
            Self::Accepted,
            Self::Preauthorized,
            Self::Pending,
            Self::Rejected,
            Self::NoAuth,
        ]
        .into_iter()
        .find(|known| known.as_str() == word)
    }
}

impl fmt::Display for Acceptance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A pair of device and key.
#[derive(Clone, Debug)]
pub(crate) struct AuthSet {
    pub(crate) id: AuthSetId,
    pub(crate) key: PublicKey,
    pub(crate) tier: String,
    pub(crate) created: Time,
    pub(crate) acceptance: Acceptance,
    /// Whether a token was given to it that is still good. All its tokens live and die together.
    pub(crate) has_token: bool,
}

/// A device.
#[derive(Clone, Debug)]
pub struct Device {
    pub(crate) id: DeviceId,
    pub(crate) identity: Map<String, Value>,
    pub(crate) identity_text: String,
    pub(crate) created: Time,
    pub(crate) updated: Time,
    pub(crate) checked_in: Option<Time>,
    pub(crate) auth_sets: Vec<AuthSet>,
    pub(crate) tenant_token: String,
}

impl Device {
    /// Its id.
    pub fn id(&self) -> &DeviceId {
        &self.id
    }

    /// Its identity attributes as the server stores them: sorted, numbers as 64-bit floats.
    pub fn identity(&self) -> &Map<String, Value> {
        &self.identity
    }

    /// The best of its keys decides.
    pub fn acceptance(&self) -> Acceptance {
        [
            Acceptance::Accepted,
            Acceptance::Preauthorized,
            Acceptance::Pending,
            Acceptance::Rejected,
        ]
        .into_iter()
        .find(|wanted| self.auth_sets.iter().any(|set| set.acceptance == *wanted))
        .unwrap_or(Acceptance::NoAuth)
    }

    /// How many keys are known for it.
    pub fn auth_set_count(&self) -> usize {
        self.auth_sets.len()
    }

    /// The tenant token of its last authentication request; empty when it sent none.
    pub fn tenant_token(&self) -> &str {
        &self.tenant_token
    }

    /// When it last used a valid token or was given one.
    pub fn checked_in(&self) -> Option<Time> {
        self.checked_in
    }

    /// The object of the management API.
    pub(crate) fn to_json(&self) -> Value {
        let sets: Vec<_> = self
            .auth_sets
            .iter()
            .map(|set| {
                json!({
                    "id": set.id.as_str(),
                    "identity_data": self.identity,
                    "pubkey": set.key.canonical_pem(),
                    "ts": set.created.to_string(),
                    "status": set.acceptance.as_str(),
                })
            })
            .collect();
        let mut object = json!({
            "id": self.id.as_str(),
            "identity_data": self.identity,
            "status": self.acceptance().as_str(),
            "decommissioning": false,
            "created_ts": self.created.to_string(),
            "updated_ts": self.updated.to_string(),
            "auth_sets": sets,
        });
        if let Some(time) = self.checked_in {
            object["check_in_time"] = json!(time.to_string());
        }
        object
    }
}

/// All devices.
#[derive(Clone, Debug, Default)]
pub(crate) struct Devices(BTreeMap<DeviceId, Device>);

/// What an authentication request said, after its checks.
pub(crate) struct Claim {
    pub(crate) identity: Map<String, Value>,
    /// Text of the identity in its normal form, by which a device is known.
    pub(crate) identity_text: String,
    pub(crate) key: PublicKey,
    /// Empty unless tiers are known.
    pub(crate) tier: String,
    pub(crate) tenant_token: String,
}

/// What came of a wish to preauthorize a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Preauthorized {
    /// It was done.
    Done,
    /// The device is there already, and the wish did not say that this does not matter.
    Exists(DeviceId),
}

impl Devices {
    /// Lets a key in before it asks. `fresh` is the id of the device if it is a new one. `force`: also when the device is
    /// known; the key waits beside its others.
    pub(crate) fn preauthorize(
        &mut self,
        claim: Claim,
        fresh: &DeviceId,
        force: bool,
        random: &mut Random,
        now: Time,
    ) -> Preauthorized {
        let known = self.known(&claim.identity_text).map(|device| device.id.clone());
        if let Some(id) = known.clone().filter(|_| !force) {
            return Preauthorized::Exists(id);
        }
        let id = known.unwrap_or_else(|| fresh.clone());
        let (id, auth_set) = self.add(id, claim, random, now);
        self.set_acceptance(&id, &auth_set, Acceptance::Preauthorized, now);
        Preauthorized::Done
    }

    fn known(&self, identity_text: &str) -> Option<&Device> {
        self.0.values().find(|device| device.identity_text == identity_text)
    }

    /// Notes that an auth set was given a token, or that its tokens are no good any more. `false` when nothing changes.
    pub(crate) fn set_token(&mut self, auth_set: &AuthSetId, is_good: bool) -> bool {
        let mut sets = self.0.values_mut().flat_map(|device| &mut device.auth_sets);
        match sets.find(|set| set.id == *auth_set) {
            Some(set) => std::mem::replace(&mut set.has_token, is_good) != is_good,
            None => false,
        }
    }

    /// Whether a token of that auth set lets its device in.
    pub(crate) fn is_let_in(&self, device: &DeviceId, auth_set: &AuthSetId) -> bool {
        let sets = self.0.get(device).map(|device| device.auth_sets.as_slice());
        let set = sets.unwrap_or_default().iter().find(|set| set.id == *auth_set);
        set.is_some_and(|set| set.acceptance == Acceptance::Accepted && set.has_token)
    }

    pub(crate) fn get(&self, id: &DeviceId) -> Option<&Device> {
        self.0.get(id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Device> {
        self.0.values()
    }

    pub(crate) fn remove(&mut self, id: &DeviceId) -> Option<Device> {
        self.0.remove(id)
    }

    /// Notes that a device was given a token or used it.
    pub(crate) fn check_in(&mut self, id: &DeviceId, now: Time) {
        if let Some(device) = self.0.get_mut(id) {
            device.checked_in = Some(now);
        }
    }

    /// The device and auth set of a claim; both are made when they are new.
    pub(crate) fn register(&mut self, claim: Claim, random: &mut Random, now: Time) -> (DeviceId, AuthSetId) {
        let known = self.known(&claim.identity_text);
        let id = known.map_or_else(|| DeviceId::from(random.uuid()), |device| device.id.clone());
        self.add(id, claim, random, now)
    }

    /// The auth set of a claim on the device of that id; both are made when they are new.
    fn add(&mut self, id: DeviceId, claim: Claim, random: &mut Random, now: Time) -> (DeviceId, AuthSetId) {
        let device = self.0.entry(id.clone()).or_insert_with(|| Device {
            id: id.clone(),
            identity: claim.identity,
            identity_text: claim.identity_text,
            created: now,
            updated: now,
            checked_in: None,
            auth_sets: Vec::new(),
            tenant_token: String::new(),
        });
        device.tenant_token = claim.tenant_token;
        let known = device
            .auth_sets
            .iter()
            .find(|set| set.key == claim.key && set.tier == claim.tier);
        if let Some(set) = known {
            return (id, set.id.clone());
        }
        let auth_set = AuthSetId::from(random.uuid());
        device.auth_sets.push(AuthSet {
            id: auth_set.clone(),
            key: claim.key,
            tier: claim.tier,
            created: now,
            acceptance: Acceptance::Pending,
            has_token: false,
        });
        device.updated = now;
        (id, auth_set)
    }

    pub(crate) fn acceptance_of(&self, device: &DeviceId, auth_set: &AuthSetId) -> Option<Acceptance> {
        let device = self.0.get(device)?;
        device
            .auth_sets
            .iter()
            .find(|set| set.id == *auth_set)
            .map(|set| set.acceptance)
    }

    /// Sets the status of an auth set. Accepting one rejects the accepted one before it: at most one is accepted.
    /// `false` when there is no such auth set.
    pub(crate) fn set_acceptance(
        &mut self,
        device: &DeviceId,
        auth_set: &AuthSetId,
        acceptance: Acceptance,
        now: Time,
    ) -> bool {
        let Some(device) = self.0.get_mut(device) else {
            return false;
        };
        if !device.auth_sets.iter().any(|set| set.id == *auth_set) {
            return false;
        }
        for set in &mut device.auth_sets {
            let is_former = match set.acceptance {
                Acceptance::Accepted | Acceptance::Preauthorized => acceptance == Acceptance::Accepted,
                Acceptance::Pending | Acceptance::Rejected | Acceptance::NoAuth => false,
            };
            if set.id == *auth_set {
                set.acceptance = acceptance;
            } else if is_former {
                set.acceptance = Acceptance::Rejected;
            }
            set.has_token &= set.acceptance == Acceptance::Accepted;
        }
        device.updated = now;
        true
    }

    /// Forgets an auth set. `false` when there is no such auth set.
    pub(crate) fn remove_auth_set(&mut self, device: &DeviceId, auth_set: &AuthSetId) -> bool {
        let Some(device) = self.0.get_mut(device) else {
            return false;
        };
        let before = device.auth_sets.len();
        device.auth_sets.retain(|set| set.id != *auth_set);
        device.auth_sets.len() < before
    }

    /// The auth set that accepting the device means: the newest pending one, or the newest rejected one when the device
    /// is not accepted already. `None` when there is nothing to accept.
    pub(crate) fn to_be_accepted(&self, device: &DeviceId) -> Option<AuthSetId> {
        let device = self.0.get(device)?;
        let newest = |wanted: Acceptance| device.auth_sets.iter().rev().find(|set| set.acceptance == wanted);
        let rejected = || newest(Acceptance::Rejected).filter(|_| device.acceptance() != Acceptance::Accepted);
        newest(Acceptance::Pending).or_else(rejected).map(|set| set.id.clone())
    }
}
