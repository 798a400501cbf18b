//! Cancel requests: the gateway hands out process ids and keys of its own and
//! knows whose backend each stands for.

use super::live::Live;
use crate::wire::postgres::startup::Cancel;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What a cancel request is good for.
#[derive(Clone)]
pub struct Backend {
    pub live: Arc<Live>,
    pub process_id: u32,
    pub key: Vec<u8>,
}

struct Entry {
    key: [u8; 4],
    backend: Backend,
}

/// The connections that can be cancelled, by the process id we gave them.
#[derive(Clone, Default)]
pub struct Cancels(Arc<Mutex<HashMap<u32, Entry>>>);

/// One connection's place; given up on drop.
pub struct Registered {
    cancels: Cancels,
    pub process_id: u32,
    pub key: [u8; 4],
}

impl Cancels {
    pub fn register(&self, backend: Backend) -> Registered {
        let key = crate::os::random();
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let process_id = loop {
            // Positive as an int32, because clients print it so; never 0.
            let candidate = u32::from_be_bytes(crate::os::random()) >> 1;
            if candidate != 0 && !entries.contains_key(&candidate) {
                break candidate;
            }
        };
        entries.insert(process_id, Entry { key, backend });
        Registered { cancels: self.clone(), process_id, key }
    }

    /// The backend that a request may cancel; keys are compared in constant time.
    pub fn find(&self, request: &Cancel<'_>) -> Option<Backend> {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.get(&request.process_id)?;
        request.has_key(&entry.key).then(|| entry.backend.clone())
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.cancels.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.process_id);
    }
}
