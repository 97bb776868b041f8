"""What must be looked at and done in one moment, as scripts of the server.

Each takes one stream as its key; a stream or a group that is not there is nothing to be done with.
"""

LEAVE = """
local stream, group, member, heir = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
repeat
  local pending = redis.pcall('XPENDING', stream, group, '-', '+', 500, member)
  if pending.err then return 0 end
  local ids = {}
  for _, one in ipairs(pending) do ids[#ids + 1] = one[1] end
  if #ids > 0 then
    local claim = {'XCLAIM', stream, group, heir, 0}
    for _, id in ipairs(ids) do claim[#claim + 1] = id end
    for _, word in ipairs({'IDLE', ARGV[4], 'JUSTID'}) do claim[#claim + 1] = word end
    redis.call(unpack(claim))
  end
until #ids < 500
redis.call('XGROUP', 'DELCONSUMER', stream, group, member)
return 1
"""
"""(group, member, heir, idle): all that a member has not acknowledged is the heir's, idle for so many milliseconds."""

DROP = """
local consumers = redis.pcall('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])
if not consumers.err then
  for _, told in ipairs(consumers) do
    local one = {}
    for i = 1, #told, 2 do one[told[i]] = told[i + 1] end
    if one['name'] ~= ARGV[2] and one['idle'] < tonumber(ARGV[3]) then return 0 end
  end
  redis.call('XGROUP', 'DESTROY', KEYS[1], ARGV[1])
end
return 1
"""
"""(group, heir, alive): take a group away, unless a member that is not the heir was there so many milliseconds ago."""

TIDY = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local function fields(flat)
  local found = {}
  for i = 1, #flat, 2 do found[flat[i]] = flat[i + 1] end
  return found
end
local function before(one, other)
  local a, b = string.match(one, '(%d+)-(%d+)')
  local c, d = string.match(other, '(%d+)-(%d+)')
  a, b, c, d = tonumber(a), tonumber(b), tonumber(c), tonumber(d)
  return a < c or (a == c and b < d)
end
local floor = nil
for _, flat in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
  local group = fields(flat)
  local first = group['last-delivered-id']
  local pending = redis.call('XPENDING', KEYS[1], group['name'])
  if pending[1] > 0 and before(pending[2], first) then first = pending[2] end
  if floor == nil or before(first, floor) then floor = first end
  for _, told in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], group['name'])) do
    local one = fields(told)
    if one['pending'] == 0 and one['idle'] > tonumber(ARGV[1]) then
      redis.call('XGROUP', 'DELCONSUMER', KEYS[1], group['name'], one['name'])
    end
  end
end
if floor == nil then floor = fields(redis.call('XINFO', 'STREAM', KEYS[1]))['last-generated-id'] end
return redis.call('XTRIM', KEYS[1], 'MINID', '~', floor)
"""
"""(idle): take away what every group has acknowledged, and members that have nothing and said nothing for so long.

What no group is there for is nobody's: a group gets what comes after it was made.
"""
