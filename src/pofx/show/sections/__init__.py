"""What a report says, section by section: each is made of one :class:`pofx.show.sections.told.Told`."""
