-- include: opening record node path writes tree flush run choice bullmq jobs admit
-- Promise: every free slot that may be given is given.
-- ARGV[3]: {}
-- Reply: see admit_and_reply; the result is [promoted, overdue]: how many due runs it parked, and whether there may be more (0 or 1).
if not warm then return { 'cold' } end
local found = {}
local reply = admit_and_reply(found)
found[1], found[2] = promoted, overdue
return reply
