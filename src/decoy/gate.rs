//! How many may come in at once, from everywhere and from one address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// Counts the connections that are open.
pub(crate) struct Gate {
    total: usize,
    each: usize,
    open: Mutex<HashMap<IpAddr, usize>>,
}

/// One open connection; dropped, it makes room for another.
pub(crate) struct Pass {
    gate: Arc<Gate>,
    address: IpAddr,
}

impl Gate {
    pub(crate) fn new(total: usize, each: usize) -> Arc<Self> {
        Arc::new(Self { total, each, open: Mutex::default() })
    }

    /// Lets one more in, if there is room for it.
    pub(crate) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Pass> {
        let address = network(address);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.values().sum::<usize>() >= self.total || open.get(&address).is_some_and(|count| *count >= self.each) {
            return None;
        }
        *open.entry(address).or_default() += 1;
        Some(Pass { gate: Arc::clone(self), address })
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut open = self.gate.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.address);
            }
        }
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

    #[test]
    fn one_address_cannot_take_all_the_room_and_leaving_makes_room() {
        let gate = Gate::new(3, 2);
        let enter = |address: &str| gate.enter(address.parse().expect("an address"));
        let first = enter("2001:db8::1");
        let second = enter("2001:db8::2");
        assert!(first.is_some() && second.is_some() && enter("2001:db8::3").is_none());
        let third = enter("192.0.2.1");
        assert!(third.is_some() && enter("192.0.2.2").is_none());
        drop(first);
        assert!(enter("192.0.2.2").is_some());
    }
}
