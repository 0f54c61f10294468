-- include: opening record node path writes tree flush run choice bullmq jobs admit
-- Promise: each run that the gate does not know is parked in its class, or waits for its time; then free slots are given.
-- A run known in any state (waiting, due, with a slot) is left as it is, so an offer may be repeated or come late.
-- ARGV[3]: {offers: [{run, at, z, queued, due}], places: [{class, lane, workspace, pool, job}]}; `at` counts the places from 1, the other
-- numbers are text
-- Reply: see admit_and_reply; the result is empty.
if not warm then return { 'cold' } end
offer_all(ask.offers, ask.places)
return admit_and_reply({})
