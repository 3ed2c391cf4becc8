using Trainer.Configuration;
using Trainer.Data.Tokenizers.HuggingFace;
using Trainer.Data.Tokenizers.RegularExpressions;

namespace Trainer.Data.Tests.Tokenizers.RegularExpressions;

/// <summary>Expected results are Oniguruma's, through the reference library (npm tokenizers 0.23.2).</summary>
public sealed class RegularExpressionTests
{
    [Theory]
    [InlineData(@"\d{1,3}+", "1234567", "1234567")]
    [InlineData(@"\s++$", "a  \n b  ", "a  \n b|  ")]
    [InlineData("a$", "a\na", "a|\n|a")]
    [InlineData("^a", "a\na", "a|\n|a")]
    [InlineData("(?m:a.b)", "a\nb", "a\nb")]
    [InlineData("x*", "axb", "a|x|b")]
    [InlineData("a(?<=a)b", "ab", "ab")]
    [InlineData("(?<!a|bc)x", "axbcxx", "axbcx|x")]
    [InlineData(@"[^\S\n]", "a b\nc", "a| |b\nc")]
    [InlineData("[[a-c]d]", "abcd", "a|b|c|d")]
    [InlineData("a{,2}", "aaaa", "aa|aa")]
    [InlineData("a{2}?", "aaaa", "aa|aa")]
    [InlineData(@"\Aa", "aa", "a|a")]
    [InlineData(@"a\Z", "a\na\n", "a\n|a|\n")]
    [InlineData(@"a\z", "a\na", "a\n|a")]
    [InlineData(@"\ba", "a ba", "a| ba")]
    [InlineData(@"[\b]", "a\b", "a|\b")]
    [InlineData("a{1,b", "a{1,b", "a{1,b")]
    [InlineData("(?:a|)b", "abb", "ab|b")]
    [InlineData("a+?", "aa", "a|a")]
    [InlineData("(?>a+)a", "aa", "aa")]
    [InlineData(@"\p{^L}", "a1", "a|1")]
    [InlineData(@"\p{Letter}", "a1", "a|1")]
    [InlineData(@"\pL", "a1", "a1")]
    [InlineData(@"\h+", "0fzg", "0f|zg")]
    [InlineData(@"(?i:s)", "a\u017Fb", "a|\u017F|b")]
    [InlineData(@"(?i)THE", "the", "the")]
    [InlineData(@"\x{1F600}", "a😀b", "a|😀|b")]
    [InlineData(@"[^a]", "a😀b", "a|😀|b")]
    [InlineData(@"\w+", "a²b\u200Dc", "a²b|\u200D|c")]
    public void Texts_are_cut_as_oniguruma_cuts_them(string pattern, string text, string pieces)
    {
        var sink = new Pieces();
        new ExpressionSplit(new RegularExpression(pattern), SplitBehavior.Isolated, invert: false).Split(text, true, sink);
        Assert.Equal(pieces, string.Join('|', sink.Found));
    }

    [Theory]
    [InlineData(@"(?i:ss)", "\"ss\"")]
    [InlineData(@"\p{Greek}", @"\p{Greek}")]
    [InlineData(@"(a)\1", @"\1")]
    [InlineData("(?:a*)*", "may be empty")]
    [InlineData("[a&&b]", "intersections")]
    [InlineData("(?<=a+)b", "varying length")]
    [InlineData("a)", "too many")]
    [InlineData("(a", "has no )")]
    [InlineData("[a", "has no ]")]
    [InlineData("(((a{900}){900}){900})", "too large")]
    [InlineData(@"a\", "backslash")]
    public void What_is_not_supported_is_named(string pattern, string part) =>
        Assert.Contains(part, Assert.Throws<RegularExpressionException>(() => new RegularExpression(pattern)).Message);

    [Fact]
    public void Endless_backtracking_is_an_error_in_time() =>
        Assert.Contains("steps",
            Assert.Throws<UserException>(() => new RegularExpression("(?:a|a)+b").Find(new string('a', 60), 0, out _, out _)).Message);

    private sealed class Pieces : PieceSink
    {
        public List<string> Found { get; } = [];

        public override void Accept(ReadOnlySpan<char> piece, bool atStart) => Found.Add(piece.ToString());
    }
}
