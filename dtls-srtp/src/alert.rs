use crate::registry::AlertDescription;

/// An alert (RFC 5246 §7.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alert {
    /// Whether it ends the connection.
    pub level: AlertLevel,
    /// What happened.
    pub description: AlertDescription,
}

/// How serious an alert is (RFC 5246 §7.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlertLevel {
    /// The connection may go on.
    Warning,
    /// The connection is over.
    Fatal,
}

impl Alert {
    /// Bytes of an alert.
    pub const LEN: usize = 2;

    /// Says goodbye (RFC 5246 §7.2.1).
    pub const CLOSE_NOTIFY: Self = Self {
        level: AlertLevel::Warning,
        description: AlertDescription::CLOSE_NOTIFY,
    };

    /// An alert that ends the connection.
    pub const fn fatal(description: AlertDescription) -> Self {
        Self {
            level: AlertLevel::Fatal,
            description,
        }
    }

    /// Reads the body of an alert record; `None` when it is not exactly a level and a description.
    pub const fn parse(body: &[u8]) -> Option<Self> {
        let (level, description) = match *body {
            [1, description] => (AlertLevel::Warning, description),
            [2, description] => (AlertLevel::Fatal, description),
            _ => return None,
        };
        Some(Self {
            level,
            description: AlertDescription(description),
        })
    }

    /// Reads the body of an alert record of DTLS 1.3, in which the level means nothing (RFC 8446 §6): all but close_notify
    /// and user_canceled end the connection.
    pub(crate) const fn parse_13(body: &[u8]) -> Option<Self> {
        let [_, description] = *body else {
            return None;
        };
        let description = AlertDescription(description);
        Some(Self {
            level: match description {
                AlertDescription::CLOSE_NOTIFY | AlertDescription::USER_CANCELED => AlertLevel::Warning,
                _ => AlertLevel::Fatal,
            },
            description,
        })
    }

    /// The body of an alert record.
    pub const fn to_bytes(self) -> [u8; Self::LEN] {
        let level = match self.level {
            AlertLevel::Warning => 1,
            AlertLevel::Fatal => 2,
        };
        [level, self.description.0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_alerts_go_there_and_back() {
        for level in [AlertLevel::Warning, AlertLevel::Fatal] {
            for description in 0..=255 {
                let alert = Alert {
                    level,
                    description: AlertDescription(description),
                };
                assert_eq!(Alert::parse(&alert.to_bytes()), Some(alert));
            }
        }
        for bad in [&[][..], &[1], &[0, 0], &[3, 0], &[1, 0, 0]] {
            assert_eq!(Alert::parse(bad), None);
        }
    }

    #[test]
    fn the_level_means_nothing_in_13() {
        for level in 0..=255 {
            assert_eq!(Alert::parse_13(&[level, 0]), Some(Alert::CLOSE_NOTIFY));
            let fatal = Alert::fatal(AlertDescription::DECODE_ERROR);
            assert_eq!(Alert::parse_13(&[level, 50]), Some(fatal));
        }
        assert_eq!(Alert::parse_13(&[1]).or(Alert::parse_13(&[1, 0, 0])), None);
    }
}
