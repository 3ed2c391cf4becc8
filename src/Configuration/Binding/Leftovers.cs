using System.Text.Json.Serialization.Metadata;
using Trainer.Configuration.Layers;

namespace Trainer.Configuration.Binding;

/// <summary>When a higher layer chooses another variant, what lower layers set for the former one is left over.</summary>
/// <remarks>A setting of a layer goes if the variant in force at that layer knew it and the chosen one does not, or holds
/// another type under that name. Settings that both share stay; what no variant in force knew remains an unknown key.</remarks>
internal static class Leftovers
{
    public static void Drop(Setting setting, Variants variants, Type? initially, Type chosen)
    {
        var choices = setting.Stack.At(setting.Child(variants.Discriminator).Key).ToArray();
        foreach (var child in setting.Children.ToArray())
        {
            foreach (var rank in setting.Stack.RanksTouching(child.Key).ToArray())
            {
                if (IsLeftOver(child.Name, InForce(rank), chosen))
                    setting.Stack.Drop(rank, child.Key);
            }
        }

        Type? InForce(int rank)
        {
            var choice = choices.LastOrDefault(found => found.Rank <= rank).Entry;
            return choice is null ? initially : variants.Find(choice.Text, choice.Kind == EntryKind.Text);
        }
    }

    private static bool IsLeftOver(string name, Type? former, Type chosen)
    {
        if (former is null || former == chosen || Shape.Property(former, name) is not { } known)
            return false;
        JsonPropertyInfo? now = Shape.Property(chosen, name);
        return now is null || now.PropertyType != known.PropertyType;
    }
}
