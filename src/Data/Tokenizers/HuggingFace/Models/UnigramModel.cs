using System.Text.Json.Nodes;

namespace Trainer.Data.HuggingFace;

/// <summary>Unigram: the segmentation of highest score (Kudo 2018).</summary>
internal sealed class UnigramModel : Model
{
    private readonly Vocabulary vocabulary;

    private UnigramModel(Part part)
    {
        var (tokens, scores) = (new List<string>(), new List<double>());
        foreach (var item in part.List("vocab"))
        {
            if (item is not JsonArray { Count: 2 } pair || pair[0] is not JsonValue name || !name.TryGetValue<string>(out var token)
                || pair[1] is not JsonValue number || !number.TryGetValue<double>(out var score))
                throw part.Damaged($"vocab holds {item?.ToJsonString() ?? "null"}, not [token, score]");
            tokens.Add(part.Whole("vocab", token));
            scores.Add(score);
        }
        vocabulary = Vocabulary.Of(tokens);
        Scores = scores;
        UnknownId = part.Has("unk_id") ? part.Count("unk_id", null) : -1;
        if (UnknownId >= tokens.Count)
            throw part.Damaged($"unk_id is {UnknownId}, and vocab has {tokens.Count} tokens");
        ByteFallback = part.Flag("byte_fallback", false);
        Trie = new PieceTrie(tokens);
    }

    public static UnigramModel Of(Part part) => new(part);

    public override string Name => "unigram";

    public override IReadOnlyList<string?> Tokens => vocabulary.Tokens;

    public override int Size => vocabulary.Tokens.Count;

    public IReadOnlyList<double> Scores { get; }

    /// <summary>The token of what the vocabulary lacks, or −1.</summary>
    public int UnknownId { get; }

    public bool ByteFallback { get; }

    public PieceTrie Trie { get; }

    public override int Id(ReadOnlySpan<char> token) => vocabulary.Id(token);

    public override ModelEncoder CreateEncoder(bool readsBytes) => new UnigramEncoder(this);
}
