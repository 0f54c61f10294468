-- include: opening
-- Promise: whether this gate may be relied on, and the epoch it holds.
-- ARGV[3]: {}
-- Reply: 'warm' or 'cold', epoch ('' for none)
return { warm and 'warm' or 'cold', meta[3] or '' }
