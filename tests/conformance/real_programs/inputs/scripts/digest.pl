use Digest::SHA qw(sha1_hex);
use MIME::Base64;
local $/;
my $data = <STDIN>;
print sha1_hex($data), "\n", encode_base64(substr($data, 0, 57));
