using Trainer.Data.Chat;
using Trainer.Data.Preparation;
using Trainer.Data.Shards;

namespace Trainer.Data.Batches;

/// <summary>What the length of a row leaves of conversations.</summary>
/// <param name="Conversations">How many there are.</param>
/// <param name="Longer">How many have more tokens than a row.</param>
/// <param name="Dropped">Of which nothing is learned: what is left has no token to learn, or they are left out.</param>
/// <param name="Tokens">How many tokens they have.</param>
/// <param name="LostTokens">How many of them no row has.</param>
public sealed record ConversationFit(long Conversations, long Longer, long Dropped, long Tokens, long LostTokens)
{
    /// <summary>Of a split in rows of so many tokens; null for a recipe without conversations.</summary>
    public static ConversationFit? Of(TokenShard shard, DataOptions data, int contextLength)
    {
        if (!data.HasConversations)
            return null;
        var documents = new DocumentTable(shard, shard.All);
        var cut = new ConversationCut(shard, contextLength, data.Conversations.Truncation);
        var fit = new ConversationFit(0, 0, 0, 0, 0);
        for (var document = 0L; document < documents.Count; document++)
        {
            var (start, length) = documents[document];
            if (cut.IsText(start))
                continue;
            var kept = cut.Parts(start, length).Sum(part => (long)part.Length);
            fit = new ConversationFit(fit.Conversations + 1, fit.Longer + (length > contextLength ? 1 : 0),
                fit.Dropped + (kept == 0 ? 1 : 0), fit.Tokens + length, fit.LostTokens + length - kept);
        }
        return fit;
    }
}

/// <summary>Conversations packed into rows as training packs them.</summary>
/// <param name="Rows">The parts of each row, in their order.</param>
public sealed record ConversationRows(IReadOnlyList<IReadOnlyList<ConversationRowPart>> Rows)
{
    /// <summary>Packs all of them at once, as one block of training is.</summary>
    public static ConversationRows Pack(
        IReadOnlyList<ConversationTokens> conversations, int vocabularySize, int contextLength, ConversationTruncation truncation)
    {
        var folder = Directory.CreateTempSubdirectory("trainer-rows-");
        try
        {
            var path = Path.Combine(folder.FullName, "rows.bin");
            using (var writer = new SplitWriter(path, vocabularySize, marksLearned: true))
            {
                foreach (var conversation in conversations)
                    writer.Append(conversation, 0, 0);
                writer.Finish("");
            }
            using var shard = TokenShard.Open(path, "conversations");
            return Pack(shard, contextLength, truncation);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static ConversationRows Pack(TokenShard shard, int contextLength, ConversationTruncation truncation)
    {
        var documents = new DocumentTable(shard, shard.All);
        var cut = new ConversationCut(shard, contextLength, truncation);
        var (parts, owners) = (new List<DocumentPart>(), new Dictionary<long, (int Conversation, long Start)>());
        for (var document = 0; document < documents.Count; document++)
        {
            var (start, length) = documents[document];
            foreach (var part in cut.Parts(start, length))
            {
                parts.Add(part);
                owners[part.Start] = (document, start);
            }
        }
        return new ConversationRows([.. PackedStream.Pack(parts, contextLength).Select(row => row.Select(part => new ConversationRowPart(
            owners[part.Start].Conversation, (int)(part.Start - owners[part.Start].Start), part.Length)).ToArray())]);
    }
}

/// <summary>The tokens of a conversation that are in a row: its number from 0, the first token, and how many.</summary>
public sealed record ConversationRowPart(int Conversation, int Start, int Length);
