-- include: opening record node path writes tree flush run choice admit
-- Promise: each run that the gate does not know is parked in its class, or waits for its time; then free slots are given.
-- A run known in any state (waiting, due, with a slot) is left as it is, so an offer may be repeated or come late.
-- ARGV[3]: {offers: [{run, class, lane, workspace, pool, job, z, queued, due}]}, numbers as text
-- Reply: see admit_and_reply; the result is empty.
if not warm then return { 'cold' } end
offer_all(ask.offers)
return admit_and_reply({})
