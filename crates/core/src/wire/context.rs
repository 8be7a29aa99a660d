//! Names for where a packet was seen: its VLAN tags and tunnels, interned as small numbers.

use foldhash::fast::RandomState;
use hashbrown::HashMap;

/// Most contexts that are told apart; later ones share one overflow context, whose index still fits 16 bits.
const MAX_CONTEXTS: usize = u16::MAX as usize;

/// VLAN tags and tunnels around a packet, outermost first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    pub vlan: Option<u16>,
    /// The last of further VLAN tags (IEEE 802.1ad), also of a tunnelled Ethernet frame.
    pub inner_vlan: Option<u16>,
    /// Tunnels as text, such as `gre/vxlan:42`.
    pub tunnel: Option<String>,
}

/// One step inwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Tag {
    Vlan(u16),
    /// A tunnel by kind, and by its network identifier where it has one that is equal in both directions.
    Tunnel(&'static str, Option<u32>),
}

impl Context {
    fn inside(&self, tag: Tag) -> Context {
        let mut inner = self.clone();
        match tag {
            Tag::Vlan(id) if self.vlan.is_none() => inner.vlan = Some(id),
            Tag::Vlan(id) => inner.inner_vlan = Some(id),
            Tag::Tunnel(kind, id) => {
                let outer = self.tunnel.iter().map(|outer| format!("{outer}/")).collect::<String>();
                let id = id.map(|id| format!(":{id}")).unwrap_or_default();
                inner.tunnel = Some(format!("{outer}{kind}{id}"));
            }
        }
        inner
    }
}

/// All contexts seen, as a tree: each is known by its parent and the step from there.
pub(super) struct Contexts {
    list: Vec<Context>,
    children: HashMap<(u32, Tag), u32, RandomState>,
    /// The step taken last, and where it led.
    last: ((u32, Tag), u32),
    overflows: u64,
}

impl Default for Contexts {
    fn default() -> Self {
        let none = (u32::MAX, Tag::Vlan(0));
        Contexts { list: vec![Context::default()], children: HashMap::default(), last: (none, 0), overflows: 0 }
    }
}

impl Contexts {
    pub(super) fn list(&self) -> &[Context] {
        &self.list
    }

    pub(super) fn overflows(&self) -> u64 {
        self.overflows
    }

    /// Returns the context one step inside another.
    pub(super) fn enter(&mut self, parent: u32, tag: Tag) -> u32 {
        let step = (parent, tag);
        if self.last.0 == step {
            return self.last.1;
        }
        let child = match self.children.get(&step) {
            Some(&child) => child,
            None => self.add(step),
        };
        self.last = (step, child);
        child
    }

    #[cold]
    fn add(&mut self, (parent, tag): (u32, Tag)) -> u32 {
        if self.list.len() >= MAX_CONTEXTS {
            return self.overflow();
        }
        let child = self.list.len() as u32;
        let context = self.list.get(parent as usize).map(|outer| outer.inside(tag)).unwrap_or_default();
        self.list.push(context);
        self.children.insert((parent, tag), child);
        child
    }

    fn overflow(&mut self) -> u32 {
        self.overflows += 1;
        if self.list.len() == MAX_CONTEXTS {
            self.list.push(Context { tunnel: Some("overflow".to_string()), ..Context::default() });
        }
        MAX_CONTEXTS as u32
    }
}
