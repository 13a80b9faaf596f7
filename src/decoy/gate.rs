//! How many may come in at once, from everywhere and from one address.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// Counts the connections that are open.
pub(crate) struct Gate {
    total: usize,
    each: usize,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    /// In the order in which they came.
    connections: BTreeMap<u64, (IpAddr, Arc<Notify>)>,
    counts: HashMap<IpAddr, usize>,
    next: u64,
}

/// One open connection; dropped, it makes room for another.
pub(crate) struct Pass {
    gate: Arc<Gate>,
    number: u64,
    farewell: Arc<Notify>,
}

impl Gate {
    pub(crate) fn new(total: usize, each: usize) -> Arc<Self> {
        Arc::new(Self { total, each, open: Mutex::default() })
    }

    /// Lets one more in, unless its address has all that one may have. Where all room is taken, the oldest connection of whoever has the
    /// most must go: many who only hold their places keep nobody out who has something to show.
    pub(crate) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Pass> {
        let address = network(address);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.counts.get(&address).is_some_and(|count| *count >= self.each) {
            return None;
        }
        if open.connections.len() >= self.total {
            let most = open.counts.iter().max_by_key(|(_, count)| **count).map(|(address, _)| *address);
            let oldest = open.connections.iter().find(|(_, (address, _))| Some(*address) == most).map(|(number, _)| *number);
            if let Some(farewell) = oldest.and_then(|number| open.remove(number)) {
                farewell.notify_one();
            }
        }
        let (number, farewell) = (open.next, Arc::new(Notify::new()));
        open.next += 1;
        open.connections.insert(number, (address, Arc::clone(&farewell)));
        *open.counts.entry(address).or_default() += 1;
        Some(Pass { gate: Arc::clone(self), number, farewell })
    }
}

impl Open {
    fn remove(&mut self, number: u64) -> Option<Arc<Notify>> {
        let (address, farewell) = self.connections.remove(&number)?;
        if let Some(count) = self.counts.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&address);
            }
        }
        Some(farewell)
    }
}

impl Pass {
    /// Ends when the place is needed for somebody else.
    pub(crate) async fn withdrawn(&self) {
        self.farewell.notified().await;
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.gate.open.lock().unwrap_or_else(PoisonError::into_inner).remove(self.number);
    }
}

/// One customer of IPv6 has a whole /64.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    #[test]
    fn one_address_has_its_limit_and_leaving_makes_room() {
        let gate = Gate::new(9, 2);
        let enter = |address: &str| gate.enter(address.parse().expect("an address"));
        let first = enter("2001:db8::1");
        let second = enter("2001:db8::2");
        assert!(first.is_some() && second.is_some() && enter("2001:db8::3").is_none());
        drop(first);
        assert!(enter("2001:db8::3").is_some());
    }

    #[test]
    fn those_who_hold_all_places_give_way_to_a_newcomer() {
        let gate = Gate::new(3, 2);
        let enter = |address: &str| gate.enter(address.parse().expect("an address")).expect("let in");
        let (single, older, newer) = (enter("192.0.2.1"), enter("192.0.2.2"), enter("192.0.2.2"));
        let _newcomer = enter("192.0.2.3");
        assert!(older.withdrawn().now_or_never().is_some(), "the oldest of whoever has the most goes");
        assert!(single.withdrawn().now_or_never().is_none() && newer.withdrawn().now_or_never().is_none());
        drop(older);
        assert_eq!(gate.open.lock().expect("not poisoned").connections.len(), 3);
    }
}
