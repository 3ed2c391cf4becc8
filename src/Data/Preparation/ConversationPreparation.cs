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
    public string Identity => $"{Learn} {Template.Identity}";

    /// <summary>Null for a recipe without conversations.</summary>
    public static ConversationPlan? Of(DataOptions data) => data.HasConversations
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

    /// <summary>The first <paramref name="keptCharacters"/> code points, to the end of a conversation, go into one split, the rest into
    /// another.</summary>
    public void Encode(IEnumerable<Conversation> conversations, SplitWriter kept, long keptCharacters, SplitWriter heldOut, Action wrote)
    {
        foreach (var part in conversations.Chunk(AtOnce))
        {
            foreach (var (tokens, characters, bytes) in EncodeAll(part))
            {
                (keptCharacters > 0 ? kept : heldOut).Append(tokens, characters, bytes);
                keptCharacters -= Math.Min(keptCharacters, characters);
            }
            wrote();
        }
    }

    /// <summary>Fails with the first that fails.</summary>
    private IEnumerable<(ConversationTokens Tokens, int Characters, int Bytes)> EncodeAll(Conversation[] part)
    {
        var encoded = new (ConversationTokens, int, int)[part.Length];
        var failed = new ExceptionDispatchInfo?[part.Length];
        Parallel.For(0, part.Length, new ParallelOptions { MaxDegreeOfParallelism = threads > 0 ? threads : Environment.ProcessorCount },
            index =>
            {
                try
                {
                    var text = part[index].Text;
                    encoded[index] = (encoder.Encode(part[index]), CodePoints.Count(text), Encoding.UTF8.GetByteCount(text));
                }
                catch (UserException e)
                {
                    failed[index] = ExceptionDispatchInfo.Capture(e);
                }
            });
        failed.FirstOrDefault(failure => failure is not null)?.Throw();
        return encoded;
    }
}
