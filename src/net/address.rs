//! Kinds of IP addresses, and which of them a host that somebody else named may have.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where an address leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AddressKind {
    Public,
    /// A network of one's own: RFC 1918, RFC 4193, and carriers' shared space (RFC 6598).
    Private,
    Loopback,
    /// Link-local, multicast, reserved, and the metadata services of clouds: never a place to be sent to.
    Special,
}

impl AddressKind {
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => of_v4(address),
            IpAddr::V6(address) => of_v6(address),
        }
    }
}

/// Which kinds a foreign host may have. A foreign host is one that a server named in a realm, a redirect or an upload location.
///
/// Public always, loopback or private only where the server that named it has such an address itself, special never.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Admission {
    pub private: bool,
    pub loopback: bool,
}

impl Admission {
    /// What a server at these addresses may name.
    #[must_use]
    pub fn beside(home: &[IpAddr]) -> Self {
        let has = |kind| home.iter().any(|address| AddressKind::of(*address) == kind);
        Self { private: has(AddressKind::Private), loopback: has(AddressKind::Loopback) }
    }

    #[must_use]
    pub fn admits(self, address: IpAddr) -> bool {
        match AddressKind::of(address) {
            AddressKind::Public => true,
            AddressKind::Private => self.private,
            AddressKind::Loopback => self.loopback,
            AddressKind::Special => false,
        }
    }
}

fn of_v4(address: Ipv4Addr) -> AddressKind {
    match address.octets() {
        // 0.0.0.0/8 reaches this machine on Linux.
        [127 | 0, ..] => AddressKind::Loopback,
        // Alibaba Cloud's metadata service lies in the shared space.
        [100, 100, 100, 200] => AddressKind::Special,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] => AddressKind::Private,
        [169, 254, ..] | [192, 0, 0, _] | [198, 18..=19, ..] | [224..=255, ..] => AddressKind::Special,
        _ => AddressKind::Public,
    }
}

fn of_v6(address: Ipv6Addr) -> AddressKind {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let embedded = |high: u16, low: u16| of_v4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)));
    match (a, b) {
        _ if address.is_loopback() || address.is_unspecified() => AddressKind::Loopback,
        // IPv4 in disguise: mapped, compatible, NAT64 (RFC 6052), 6to4.
        (0, 0) if [c, d, e] == [0; 3] && (f == 0xffff || f == 0) => embedded(g, h),
        (0x64, 0xff9b) => embedded(g, h),
        (0x2002, _) => embedded(b, c),
        // Amazon's metadata service over IPv6.
        (0xfd00, 0x0ec2) => AddressKind::Special,
        (0xfc00..=0xfdff, _) => AddressKind::Private,
        (0xfe80..=0xffff, _) => AddressKind::Special,
        _ => AddressKind::Public,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_known_also_in_disguise() {
        for (text, kind) in [
            ("140.82.121.33", AddressKind::Public),
            ("127.8.9.1", AddressKind::Loopback),
            ("0.0.0.0", AddressKind::Loopback),
            ("172.20.1.1", AddressKind::Private),
            ("172.32.1.1", AddressKind::Public),
            ("169.254.169.254", AddressKind::Special),
            ("::ffff:169.254.169.254", AddressKind::Special),
            ("64:ff9b::7f00:1", AddressKind::Loopback),
            ("2002:a00:1::", AddressKind::Private),
            ("fd00:ec2::254", AddressKind::Special),
            ("fd12::1", AddressKind::Private),
            ("fe80::1", AddressKind::Special),
            ("::1", AddressKind::Loopback),
            ("2606:50c0::1", AddressKind::Public),
        ] {
            assert_eq!(AddressKind::of(text.parse().expect(text)), kind, "{text}");
        }
    }

    #[test]
    fn a_private_server_may_name_private_hosts_and_nobody_may_name_metadata() {
        let public = Admission::beside(&["140.82.121.33".parse().expect("address")]);
        let private = Admission::beside(&["10.1.1.1".parse().expect("address")]);
        let inside = "10.2.2.2".parse().expect("address");
        assert!(!public.admits(inside) && private.admits(inside));
        assert!(!private.admits("127.0.0.1".parse().expect("address")));
        assert!(!private.admits("169.254.169.254".parse().expect("address")));
    }
}
