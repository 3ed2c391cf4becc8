using Trainer.Data.Corpora;

namespace Trainer.Data.Tests.Corpora;

public sealed class CorpusStatisticsTests
{
    private readonly CorpusStatistics figures = new();

    [Fact]
    public void Pieces_pass_unchanged_and_are_counted()
    {
        Assert.Equal(Pieces, figures.Count(Pieces));
        Assert.Equal((3, 1, 7, 12), (figures.Documents, figures.Nulls, figures.Characters, figures.Bytes));
    }

    [Theory]
    [InlineData(0, 0, 0, 0)]
    [InlineData(1, 2, 1, 0)]
    [InlineData(2, 3, 1, 1)]
    [InlineData(3, 4, 2, 1)]
    [InlineData(4, 5, 3, 1)]
    public void Whole_documents_and_records_without_text_pass_up_to_the_limit(long limit, int pieces, long documents, long nulls)
    {
        Assert.Equal(Pieces[..pieces], figures.Count(Pieces, limit));
        Assert.Equal((documents, nulls), (figures.Documents, figures.Nulls));
    }

    [Fact]
    public void What_passed_before_an_error_is_counted()
    {
        Assert.Throws<IOException>(() => figures.Count(Failing()).ToList());
        Assert.Equal((1, 1), (figures.Documents, figures.Nulls));

        static IEnumerable<TextPiece> Failing() => Pieces[..3].Concat(Enumerable.Range(0, 1).Select<int, TextPiece>(_ => throw new IOException()));
    }

    // A document in two pieces, a record without text, an empty document, and one with a surrogate pair.
    private static TextPiece[] Pieces { get; } =
    [
        new("ab\n".AsMemory(), true, "a.jsonl", 1), new("漢".AsMemory(), false, "a.jsonl", 1),
        new(default, false, "a.jsonl", 2) { IsNull = true },
        new("".AsMemory(), true, "a.jsonl", 3), new("x😀c".AsMemory(), true, "a.jsonl", 4),
    ];
}
