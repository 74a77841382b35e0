-- The buckets of a window, for any number of segments of one partition; those that the caller has are left out.
-- KEYS[1] position; ARGV[1] what the keys of this partition's buckets begin with, ARGV[2] (MessagePack) of each bucket
-- what follows, up to its segment, ARGV[3] (MessagePack) a row for each segment: {segment, life, known, versions}, where
-- `known` has a 1 for every bucket that the caller has and `versions` their versions where they have one, ARGV[4] as
-- in wanted.lua. Answers the life and the clock of the partition and, for each row, {place, fields, place, fields, …} of
-- what the caller lacks. Every key lies in the slot of KEYS[1].
local life, clock_us = unpack(call('HMGET', KEYS[1], 'life', 'clock_us'))
life = life or ''
local prefix, buckets = ARGV[1], cmsgpack.unpack(ARGV[2])
local function fields(key)
  local found, version = held(key)
  local chosen, size = {}, 0
  if version then
    chosen[1], chosen[2], size = '@', version, 2
  end
  for field, amount in pairs(found) do
    if counts[field] then
      chosen[size + 1], chosen[size + 2] = field, amount
      size = size + 2
    end
  end
  return chosen
end
local answer = {life, clock_us or '0'}
for number, row in ipairs(cmsgpack.unpack(ARGV[3])) do
  local segment, known, versions = row[1], row[3], row[4]
  local lacking = {}
  if row[2] ~= life then
    known = ''
  end
  for place = 1, #buckets do
    local key = prefix .. buckets[place] .. segment
    if byte(known, place) == 49 then
      if version_of(key) ~= (versions[tostring(place)] or false) then
        lacking[#lacking + 1] = place
        lacking[#lacking + 1] = fields(key)
      end
    else
      local found = fields(key)
      if #found > 0 then
        lacking[#lacking + 1] = place
        lacking[#lacking + 1] = found
      end
    end
  end
  answer[number + 2] = lacking
end
return answer
