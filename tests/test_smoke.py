import jwt
from tests.support import KEY, Trail, mint


def test_decode_gives_one_event(trail: Trail) -> None:
    token = mint()
    trail.clear()
    jwt.decode(token, KEY, ["HS256"])
    assert trail.names == ["jwt.validated"]
    assert trail.encoded()
