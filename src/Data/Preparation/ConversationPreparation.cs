using System.Runtime.ExceptionServices;
using System.Text;
using Trainer.Configuration;
using Trainer.Data.Chat;
using Trainer.Data.Tokenizers;
using Trainer.Data.Tokenizers.Unicode;

namespace Trainer.Data.Preparation;

/// <summary>How a recipe's conversations become tokens.</summary>
internal sealed record ConversationPlan(ConversationTemplate Template, LearnedTurns Learn)
{
    /// <summary>All that the tokens depend on besides the conversations and the tokenizer.</summary>
    public string Identity => $"{Learn}{(Learn == LearnedTurns.All ? " of conversations" : "")} {Template.Identity}";

    /// <summary>Null for a recipe without conversations and preferences.</summary>
    public static ConversationPlan? Of(DataOptions data) => data.UsesTemplate
        ? new(ConversationTemplate.Open(data.Conversations), data.Conversations.Learn)
        : null;

    public ConversationEncoder Encoder(Tokenizer tokenizer) => new(Template, tokenizer, Learn);

    /// <summary>Special tokens of the template in a tokenizer that is made here.</summary>
    public static TokenizerOptions Tokenizer(DataOptions data, TokenizerOptions tokenizer) => Of(data) is { } plan
        ? tokenizer.WithSpecialTokens(plan.Template.SpecialTokens)
        : tokenizer;
}

/// <summary>Encodes conversations on all cores and writes them in order. 0 threads means one per core.</summary>
internal sealed class ConversationPreparation(ConversationEncoder encoder, int threads = 0)
{
    /// <summary>Enough for milliseconds of work on each core.</summary>
    private const int AtOnce = 256;

    /// <summary>The first <paramref name="keptCharacters"/> code points, to the end of a record, go into one split, the rest into another.
    /// A conversation that a record does not have is an empty document.</summary>
    public void Encode(
        IEnumerable<IReadOnlyList<Conversation?>> records, SplitWriter kept, long keptCharacters, SplitWriter heldOut, Action wrote)
    {
        foreach (var part in records.Chunk(AtOnce))
        {
            var encoded = new Queue<Encoded>(EncodeAll([.. part.SelectMany(record => record)]));
            foreach (var record in part)
            {
                var split = keptCharacters > 0 ? kept : heldOut;
                for (var i = 0; i < record.Count; i++)
                {
                    var (tokens, characters, bytes) = encoded.Dequeue();
                    split.Append(tokens, characters, bytes);
                    keptCharacters -= Math.Min(keptCharacters, characters);
                }
            }
            wrote();
        }
    }

    /// <summary>Fails with the first that fails.</summary>
    private Encoded[] EncodeAll(Conversation?[] part)
    {
        var encoded = new Encoded[part.Length];
        var failed = new ExceptionDispatchInfo?[part.Length];
        Parallel.For(0, part.Length, new ParallelOptions { MaxDegreeOfParallelism = threads > 0 ? threads : Environment.ProcessorCount },
            index =>
            {
                try
                {
                    encoded[index] = part[index] is { Text: var text } conversation
                        ? new(encoder.Encode(conversation), CodePoints.Count(text), Encoding.UTF8.GetByteCount(text))
                        : new(new ConversationTokens([], []), 0, 0);
                }
                catch (UserException e)
                {
                    failed[index] = ExceptionDispatchInfo.Capture(e);
                }
            });
        failed.FirstOrDefault(failure => failure is not null)?.Throw();
        return encoded;
    }

    private readonly record struct Encoded(ConversationTokens Tokens, int Characters, int Bytes);
}
