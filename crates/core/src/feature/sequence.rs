//! The first packets of a flow, one by one: signed size, gap and flags.

/// Packets kept.
pub const LENGTH: usize = 32;

/// One packet of the sequence.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Microseconds since the previous packet of the flow, saturating.
    pub gap_us: u32,
    /// IP length in bytes, saturating.
    pub bytes: u16,
    pub flags: u8,
    pub from_orig: bool,
}

/// The first [`LENGTH`] packets of a flow.
#[derive(Clone, Debug, Default)]
pub struct Sequence {
    steps: Vec<Step>,
}

impl Sequence {
    /// Adds a packet if there is room.
    #[inline]
    pub fn add(&mut self, step: Step) {
        let length = self.steps.len();
        if length < LENGTH {
            if length == self.steps.capacity() {
                self.steps.reserve_exact(if length == 0 { 8 } else { LENGTH - length });
            }
            self.steps.push(step);
        }
    }

    /// Returns the packets in order of arrival.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }
}
