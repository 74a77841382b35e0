-- Takes or keeps the lead of the evaluation.
-- KEYS: 1 leader  2 fence (counts leaders)
-- ARGV: 1 the fence that the caller holds ('' for none)  2 how long it lasts, ms
-- Returns the caller's fence, or nil while somebody else leads.
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[1] then return nil end
if not held then held = tostring(redis.call('INCR', KEYS[2])) end
redis.call('SET', KEYS[1], held, 'PX', ARGV[2])
return held
