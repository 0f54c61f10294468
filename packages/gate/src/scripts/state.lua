-- include: opening
-- Promise: whether this gate may be relied on, and the epoch it holds. A Redis that takes no writes says so: it is full, or a replica.
-- ARGV[3]: {}
-- Reply: 'warm' or 'cold', epoch ('' for none)
local trial = fleet .. 'trial'
redis.call('SET', trial, '')
redis.call('DEL', trial)
return { warm and 'warm' or 'cold', meta[3] or '' }
