"""The live board: what a lead keeps open all day. ``panel`` says what it shows, ``live`` keeps it up to date for any
number of browsers, ``pages`` serves its files."""
