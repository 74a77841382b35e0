-- Writes down how an attempt ended, if nobody else took the message; for a digest also what became of its messages.
-- KEYS: 1 due  2 retry  3 sent  4 gathered (alert -> digest)  5 pending  6 settled
-- ARGV: 1 prefix  2 receiver  3 delivery id  4 alert id  5 lease token  6 delivery  7 next_us or ''  8 now_us
--       9 '1' when the next attempt must be the same message  10 '1' when nothing was sent
--       11 '1' when the receiver heard of the alert  12 handle or ''  13 '1' when it ended the alert
--       14… of each message of a digest: its id, alert id, delivery or '' (goes on), '1' when heard, '1' when it ends
-- Returns 1, or 0 when another worker has the message, or settled it.
local prefix, receiver, delivery_id, alert_id = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local lease = prefix .. 'lease:' .. receiver .. ':' .. alert_id
if redis.call('HGET', prefix .. 'delivery:' .. delivery_id, 'flying') ~= ARGV[5] then return 0 end

-- A digest that opened one incident for all its alerts is over when the last of them has ended, or is told of alone.
local function ended(alert)
  local handle = redis.call('HGET', prefix .. 'handles:' .. alert, receiver)
  if not handle or string.sub(handle, 1, 7) ~= 'digest:' then return end
  local digest_id = string.sub(handle, 8)
  local open = prefix .. 'open:' .. digest_id
  if redis.call('SREM', open, alert) == 0 or redis.call('EXISTS', open) == 1 then return end
  local id = digest_id .. ':end'
  redis.call('HSET', prefix .. 'delivery:' .. id, 'json', '{"delivery_id":"' .. id .. '","receiver":"' .. receiver
    .. '","alert_id":"' .. id .. '","event_id":"' .. digest_id .. '","transition":"digest_end","created_us":' .. ARGV[8]
    .. ',"next_us":' .. ARGV[8] .. ',"kind":"digest_end","digest_id":"' .. digest_id .. '"}')
  redis.call('ZADD', KEYS[2], ARGV[8], id)
  redis.call('ZADD', KEYS[5], ARGV[8], id)
end

local function heard(alert, ends, alone)
  redis.call('SADD', prefix .. 'told:' .. alert, receiver)
  local handle, key = ARGV[12], prefix .. 'handles:' .. alert
  if handle == '' or ends then return end
  local known = redis.call('HGET', key, receiver)
  if known == handle then return end
  if known and not alone and string.sub(known, 1, 7) ~= 'digest:' then return end
  if known then ended(alert) end
  redis.call('HSET', key, receiver, handle)
  if string.sub(handle, 1, 7) == 'digest:' then redis.call('SADD', prefix .. 'open:' .. string.sub(handle, 8), alert) end
end

if redis.call('GET', lease) == ARGV[5] then redis.call('DEL', lease) end
redis.call('HSET', prefix .. 'delivery:' .. delivery_id, 'json', ARGV[6])
redis.call('HDEL', prefix .. 'delivery:' .. delivery_id, 'flying')
if ARGV[10] == '1' then redis.call('ZREM', KEYS[3], delivery_id) end
if ARGV[11] == '1' then heard(alert_id, ARGV[13] == '1', true) end
if ARGV[7] ~= '' then
  redis.call('ZREM', KEYS[ARGV[9] == '1' and 1 or 2], delivery_id)
  redis.call('ZADD', KEYS[ARGV[9] == '1' and 2 or 1], ARGV[7], delivery_id)
  redis.call('ZADD', KEYS[5], ARGV[7], delivery_id)
else
  redis.call('ZREM', KEYS[1], delivery_id)
  redis.call('ZREM', KEYS[2], delivery_id)
  redis.call('ZREM', KEYS[5], delivery_id)
  redis.call('ZADD', KEYS[6], ARGV[8], delivery_id)
  if ARGV[13] == '1' then ended(alert_id) end
end
for n = 14, #ARGV, 5 do
  local member, alert, json = ARGV[n], ARGV[n + 1], ARGV[n + 2]
  if ARGV[n + 3] == '1' then heard(alert, ARGV[n + 4] == '1', false) end
  if json ~= '' then
    redis.call('HSET', prefix .. 'delivery:' .. member, 'json', json)
    redis.call('HDEL', prefix .. 'delivery:' .. member, 'digest')
    if redis.call('HGET', KEYS[4], alert) == delivery_id then redis.call('HDEL', KEYS[4], alert) end
    redis.call('ZREM', KEYS[5], member)
    redis.call('ZADD', KEYS[6], ARGV[8], member)
    if ARGV[n + 4] == '1' then ended(alert) end
  end
end
return 1
