-- include: opening record node path writes tree flush run choice bullmq jobs admit
-- Promise: every free slot that may be given is given.
-- ARGV[3]: {}
-- Reply: see admit_and_reply; the result is empty.
if not warm then return { 'cold' } end
return admit_and_reply({})
