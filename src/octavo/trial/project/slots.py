"""When is there time for a meeting? A span is (start, end), in minutes since midnight."""

DAY = (9 * 60, 17 * 60)


def merge(meetings):
    """Join meetings that touch or overlap into busy spans, earliest first."""
    busy = []
    for start, end in sorted(meetings):
        if busy and start <= busy[-1][1]:
            busy[-1] = (busy[-1][0], end)
        else:
            busy.append((start, end))
    return busy


def free(meetings, day=DAY):
    """Return the spans of `day` in which there is no meeting."""
    slots = []
    at = day[0]
    for start, end in merge(meetings):
        if start > at:
            slots.append((at, min(start, day[1])))
        at = max(at, end)
    if at < day[1]:
        slots.append((at, day[1]))
    return slots
