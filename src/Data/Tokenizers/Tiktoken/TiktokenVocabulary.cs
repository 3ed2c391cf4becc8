using System.IO.Compression;
using System.Reflection;
using System.Text.Json.Nodes;
using Trainer.Data.HuggingFace;

namespace Trainer.Data;

/// <summary>A vocabulary out of the data packages of Microsoft.ML.Tokenizers.</summary>
/// <param name="Tokens">The tokens by rank, which is their id too, in byte-level symbols (see <see cref="ByteLevelAlphabet"/>).</param>
/// <param name="SpecialTokens">The ids of the tokens that are no text.</param>
/// <param name="Expression">The expression that cuts text into words.</param>
internal sealed record TiktokenVocabulary(IReadOnlyList<string> Tokens, IReadOnlyList<(string Token, int Id)> SpecialTokens, string Expression)
{
    private const string EndOfText = "<|endoftext|>";

    /// <summary>Reads one.</summary>
    public static TiktokenVocabulary Of(TiktokenEncoding encoding) => encoding switch
    {
        TiktokenEncoding.Gpt2 => new(Read("Gpt2", "gpt2"), [(EndOfText, 50256)], Gpt2Scanner.Pattern),
        TiktokenEncoding.R50kBase => new(Read("R50kBase", "r50k_base"), [(EndOfText, 50256)], Gpt2Scanner.Pattern),
        TiktokenEncoding.Cl100kBase => new(
            Read("Cl100kBase", "cl100k_base"),
            [(EndOfText, 100257), ("<|fim_prefix|>", 100258), ("<|fim_middle|>", 100259), ("<|fim_suffix|>", 100260), ("<|endofprompt|>", 100276)],
            Cl100kScanner.Llama3Pattern),
        TiktokenEncoding.O200kBase => new(Read("O200kBase", "o200k_base"), [(EndOfText, 199999), ("<|endofprompt|>", 200018)], O200kScanner.Pattern),
        _ => throw new ArgumentOutOfRangeException(nameof(encoding), encoding, "no such encoding"),
    };

    /// <summary>Hugging Face's byte-level BPE with this vocabulary.</summary>
    /// <returns>The content of <c>tokenizer.json</c>.</returns>
    public JsonObject ToJson()
    {
        var vocabulary = new JsonObject();
        for (var id = 0; id < Tokens.Count; id++)
            vocabulary[Tokens[id]] = id;
        foreach (var (token, id) in SpecialTokens)
            vocabulary[token] = id;   // or else readers number them one behind the other, and cl100k's have a gap
        var merges = new JsonArray([.. Merges().Select(merge => (JsonNode)$"{merge.Left} {merge.Right}")]);
        var document = HuggingFaceTokenizer.Document(
            HuggingFaceTokenizer.ByteLevelWords(Expression), HuggingFaceTokenizer.ByteLevel(), HuggingFaceTokenizer.Bpe(vocabulary, merges));
        document["added_tokens"] = SpecialTokenEntries.Of(SpecialTokens);
        return document;
    }

    /// <summary>The one pair that makes each token of two bytes or more, by rank.</summary>
    /// <remarks>tiktoken merges any neighbours that are a token together, the lowest rank first; Hugging Face's models list the pairs.
    /// What happens inside a token before it is whole depends on its own bytes alone, so merging these by the tokens of lower rank leaves
    /// the only two parts that it is ever made of.</remarks>
    /// <exception cref="InvalidOperationException">A token cannot be made so.</exception>
    public IEnumerable<(string Left, string Right)> Merges()
    {
        var ranks = new Dictionary<string, int>(Tokens.Count, StringComparer.Ordinal);
        for (var rank = 0; rank < Tokens.Count; rank++)
            ranks.Add(Tokens[rank], rank);
        var lookup = ranks.GetAlternateLookup<ReadOnlySpan<char>>();
        var starts = new List<int>();
        for (var rank = 0; rank < Tokens.Count; rank++)
        {
            var token = Tokens[rank];
            if (token.Length == 1)
                continue;
            starts.Clear();
            starts.AddRange(Enumerable.Range(0, token.Length));
            while (starts.Count > 2 && Lowest(token, starts, lookup, rank) is var second and > 0)
                starts.RemoveAt(second);
            if (starts.Count != 2)
                throw new InvalidOperationException($"the token {rank} of the vocabulary, {token}, is not made of two others");
            yield return (token[..starts[1]], token[starts[1]..]);
        }
    }

    /// <summary>The index of the second part of the first pair with the lowest rank below a limit, or −1.</summary>
    private static int Lowest(string token, List<int> starts, Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> ranks, int limit)
    {
        var lowest = -1;
        for (var second = 1; second < starts.Count; second++)
        {
            var end = second + 1 < starts.Count ? starts[second + 1] : token.Length;
            if (ranks.TryGetValue(token.AsSpan(starts[second - 1]..end), out var rank) && rank < limit)
                (lowest, limit) = (second, rank);
        }
        return lowest;
    }

    /// <summary>The tokens of a package: base 64 a line, by rank, behind a line that says how many.</summary>
    private static string[] Read(string package, string name)
    {
        const string Capacity = "Capacity: ";
        var assembly = Assembly.Load($"Microsoft.ML.Tokenizers.Data.{package}");
        using var compressed = assembly.GetManifestResourceStream($"{name}.tiktoken.deflate")
            ?? throw new InvalidOperationException($"{assembly.FullName} lacks its resource {name}.tiktoken.deflate");
        using var lines = new StreamReader(new DeflateStream(compressed, CompressionMode.Decompress));
        var tokens = new List<string>();
        while (lines.ReadLine() is { } line)
            if (line.Length > 0 && !line.StartsWith(Capacity, StringComparison.Ordinal))
                tokens.Add(string.Concat(Convert.FromBase64String(line).Select(ByteLevelAlphabet.Symbol)));
        return [.. tokens];
    }
}
