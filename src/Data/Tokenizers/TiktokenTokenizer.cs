using System.ComponentModel;
using System.IO.Compression;
using System.Reflection;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Trainer.Data.Tokenizers.HuggingFace;

namespace Trainer.Data.Tokenizers;

/// <summary>The tokenizer of GPT-2 or an OpenAI model. Runs as a <see cref="HuggingFaceTokenizer"/>: Microsoft.ML.Tokenizers, whose
/// vocabulary it takes, splits surrogate pairs, loses special tokens once its cache is full, and takes quadratic time for long
/// words.</summary>
[Description("The tokenizer of GPT-2 or of one of OpenAI's models: nothing is learned or downloaded. Needs a model with as many "
    + "embeddings: 50,257 to 200,019.")]
public sealed record TiktokenTokenizerOptions : TokenizerOptions
{
    /// <summary>The encoding.</summary>
    [Description("gpt2, r50k_base = GPT-2 and 3, 50,257 tokens; cl100k_base = GPT-3.5 and 4, 100,277; o200k_base = GPT-4o, 200,019.")]
    public required TiktokenEncoding Encoding { get; init; }

    /// <inheritdoc/>
    public override TokenizerTrainer CreateTrainer() =>
        new PretrainedTrainer(HuggingFaceTokenizer.Parse(TiktokenVocabulary.Of(Encoding).ToJson(), "the vocabulary"));
}

/// <summary>OpenAI's encodings, named as in tiktoken.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<TiktokenEncoding>))]
public enum TiktokenEncoding
{
    /// <summary>GPT-2: 50,257 tokens.</summary>
    [JsonStringEnumMemberName("gpt2")]
    Gpt2,

    /// <summary>GPT-3, with the tokens of <see cref="Gpt2"/>.</summary>
    [JsonStringEnumMemberName("r50k_base")]
    R50kBase,

    /// <summary>GPT-3.5 and GPT-4: ids up to 100,276.</summary>
    [JsonStringEnumMemberName("cl100k_base")]
    Cl100kBase,

    /// <summary>GPT-4o: ids up to 200,018.</summary>
    [JsonStringEnumMemberName("o200k_base")]
    O200kBase,
}

/// <summary>From the data packages of Microsoft.ML.Tokenizers: tokens by rank, which is the id, in byte-level symbols
/// (<see cref="ByteLevelAlphabet"/>).</summary>
internal sealed record TiktokenVocabulary(IReadOnlyList<string> Tokens, IReadOnlyList<(string Token, int Id)> SpecialTokens,
    string Expression)
{
    private const string EndOfText = "<|endoftext|>";

    public static TiktokenVocabulary Of(TiktokenEncoding encoding) => encoding switch
    {
        TiktokenEncoding.Gpt2 => new(Read("Gpt2", "gpt2"), [(EndOfText, 50256)], Gpt2Scanner.Pattern),
        TiktokenEncoding.R50kBase => new(Read("R50kBase", "r50k_base"), [(EndOfText, 50256)], Gpt2Scanner.Pattern),
        TiktokenEncoding.Cl100kBase => new(
            Read("Cl100kBase", "cl100k_base"),
            [(EndOfText, 100257), ("<|fim_prefix|>", 100258), ("<|fim_middle|>", 100259), ("<|fim_suffix|>", 100260),
                ("<|endofprompt|>", 100276)],
            Cl100kScanner.Llama3Pattern),
        TiktokenEncoding.O200kBase =>
            new(Read("O200kBase", "o200k_base"), [(EndOfText, 199999), ("<|endofprompt|>", 200018)], O200kScanner.Pattern),
        _ => throw new ArgumentOutOfRangeException(nameof(encoding), encoding, "no such encoding"),
    };

    public JsonObject ToJson()
    {
        var vocabulary = new JsonObject();
        for (var id = 0; id < Tokens.Count; id++)
            vocabulary[Tokens[id]] = id;
        foreach (var (token, id) in SpecialTokens)
            vocabulary[token] = id;   // otherwise readers number them consecutively, and cl100k's have gaps
        var merges = new JsonArray([.. Merges().Select(merge => (JsonNode)$"{merge.Left} {merge.Right}")]);
        var document = TokenizerJson.Document(
            TokenizerJson.ByteLevelWords(Expression), TokenizerJson.ByteLevel(), TokenizerJson.Bpe(vocabulary, merges));
        document["added_tokens"] = TokenizerJson.AddedTokens(SpecialTokens);
        return document;
    }

    /// <summary>The pair that forms each token of two or more bytes, by rank. tiktoken merges any adjacent tokens that form a token, lowest
    /// rank first; Hugging Face lists the pairs. What happens within a token depends on its bytes alone, so merging those by lower ranks
    /// leaves the only two parts it is ever made of; anything else is an <see cref="InvalidOperationException"/>.</summary>
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

    /// <summary>The second part's index in the first pair of lowest rank below a limit, or −1.</summary>
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

    /// <summary>Reads a package's tokens: base64 lines by rank, after a line with their number.</summary>
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
