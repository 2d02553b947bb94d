//! The last readings of the series.

use anomaly_core::names;
use anomaly_core::reading::SeriesId;
use anomaly_core::window::Window;
use anomaly_pipeline::fault::Fault;
use anomaly_pipeline::ports::{Saved, StoredWindow, Windows};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;

use super::item::{Item, n, number, s, text};
use super::series::{Condition, rows_of};
use crate::connect::Connector;
use crate::fault::fault;

/// A table of DynamoDB with a row a series. A window that was read and changed meanwhile is not written over.
#[derive(Clone, Debug)]
pub struct DynamoWindows {
    client: Client,
    table: String,
}

impl DynamoWindows {
    /// The table of this name.
    pub fn new(connector: &Connector, table: &str) -> Self {
        DynamoWindows { client: connector.dynamodb(), table: table.to_owned() }
    }
}

impl Windows for DynamoWindows {
    async fn load(&self, series: &[SeriesId]) -> Result<Vec<Option<StoredWindow>>, Fault> {
        // Boxed, for the compiler's sake: the SDK's futures are deep, and so would be all around them.
        let mut items = Box::pin(rows_of(&self.client, &self.table, "read the windows", series)).await?;
        let mut stored = |name: &SeriesId| {
            let place = items.iter().position(|item| text(item, names::SERIES) == Some(name.as_str()))?;
            Some(read(name, &items.swap_remove(place)))
        };
        series.iter().map(|name| stored(name).transpose()).collect()
    }

    async fn save(&self, series: &SeriesId, window: &Window, revision: Option<u64>) -> Result<Saved, Fault> {
        let Condition { expression, name, value } = Condition::unchanged(revision);
        let request = self
            .client
            .put_item()
            .table_name(&self.table)
            .item(names::SERIES, s(series.as_str()))
            .item(names::WINDOW, AttributeValue::B(Blob::new(window.encode())))
            .item(names::REVISION, n(revision.map_or(1, |revision| revision + 1)))
            .condition_expression(expression)
            .expression_attribute_names(name.0, name.1)
            .set_expression_attribute_values(value);
        match Box::pin(request.send()).await {
            Ok(_) => Ok(Saved::Written),
            Err(error)
                if error.as_service_error().is_some_and(|e| e.is_conditional_check_failed_exception()) =>
            {
                Ok(Saved::Conflict)
            }
            Err(error) => Err(fault(format!("write the window of {series}"), &error)),
        }
    }
}

fn read(series: &SeriesId, item: &Item) -> Result<StoredWindow, Fault> {
    let corrupt = |detail: &str| Fault::permanent(format!("read the window of {series}"), detail);
    let bytes = item.get(names::WINDOW).and_then(|value| value.as_b().ok());
    let bytes = bytes.ok_or_else(|| corrupt("the row has no window"))?;
    let revision = number(item, names::REVISION).ok_or_else(|| corrupt("the row has no revision"))?;
    let window = Window::decode(bytes.as_ref())
        .ok_or_else(|| corrupt("it is damaged, or of a later release; without the row it begins anew"))?;
    Ok(StoredWindow { window, revision })
}
