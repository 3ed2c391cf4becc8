using System.Reflection;
using System.Text.Json.Serialization;

namespace Trainer.Models;

/// <summary>Names that registration lines give to variants.</summary>
internal static class Registered
{
    /// <summary>The name a record has in configurations, from its line on the root of its hierarchy.</summary>
    public static string Name(Type root, Type variant) => root.GetCustomAttributes<JsonDerivedTypeAttribute>()
        .Where(line => line.DerivedType == variant)
        .Select(line => (string)line.TypeDiscriminator!)
        .FirstOrDefault() ?? throw new InvalidOperationException($"{variant} lacks its registration line on {root}.");
}
